"""What importing loads, and which way imports point, read from interpreter and source."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EDGE = sorted((ROOT / "edge").rglob("*.py"))
CONVERT = sorted((ROOT / "convert").rglob("*.py"))
INTERPRETERS = re.compile(r"(ai_edge_litert|tflite_runtime|tensorflow|pycoral)(\.|$)")


def loaded_by(module: str) -> set[str]:
    """Return the packages, less the stdlib, that a fresh interpreter loads for a module."""
    program = (
        "import json, sys; before = set(sys.modules); "
        f"import {module}; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    names = {name.partition(".")[0] for name in json.loads(output)}
    # numpy.random's compiled modules register their compiler's own, multiprocessing __mp_main__
    return {n for n in names - sys.stdlib_module_names if "cython" not in n and n[:2] != "__"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path, everywhere: bool) -> Iterator[str]:
    """Yield the absolute modules a file imports: everywhere, or only those its import runs."""
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif everywhere or not _runs_later(node):
            todo += ast.iter_child_nodes(node)


def _runs_later(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def packages(path: Path, everywhere: bool) -> set[str]:
    return {module.partition(".")[0] for module in imports(path, everywhere)}


@pytest.mark.parametrize("module", ["edge.pipeline", "edge.daemon", "edge.commands.hear"])
def test_the_device_loads_nothing_but_numpy(module: str) -> None:
    assert loaded_by(module) == {"edge", "numpy"}


@pytest.mark.parametrize("module", ["edge", "edge.cli", "edge.commands"])
def test_the_command_line_is_understood_before_numpy_is_loaded(module: str) -> None:
    assert loaded_by(module) == {"edge"}


@pytest.mark.parametrize("module", ["convert.cli", "convert.build"])
def test_the_converter_starts_without_tensorflow(module: str) -> None:
    assert loaded_by(module) <= {"convert", "edge", "numpy"}


def test_edge_never_imports_convert() -> None:
    assert [name(path) for path in EDGE if "convert" in packages(path, everywhere=True)] == []


def test_edge_imports_only_numpy_when_loaded() -> None:
    heavy = {name(p): packages(p, everywhere=False) - sys.stdlib_module_names for p in EDGE}
    assert {path: found for path, found in heavy.items() if not found <= {"numpy"}} == {}


def test_convert_imports_tensorflow_only_inside_functions() -> None:
    heavy = {name(p): packages(p, everywhere=False) & {"tensorflow", "keras"} for p in CONVERT}
    assert {path: found for path, found in heavy.items() if found} == {}


def test_only_the_runtime_names_an_interpreter() -> None:
    def strings(path: Path) -> Iterator[str]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value

    naming = {
        name(path)
        for path in EDGE
        if any(INTERPRETERS.match(m) for m in [*imports(path, everywhere=True), *strings(path)])
    }
    assert naming == {"edge/runtime.py"}
