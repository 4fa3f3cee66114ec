"""The wheel: what is in it, and that it runs where neither the sources nor anything else is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edge import __version__

ROOT = Path(__file__).parents[1]
NOT_IN_A_CLONE = (".*", "*.egg-info", "__pycache__", "build", "dist", "out", "work")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that nothing built earlier gets into it; leave no copy."""
    folder = tmp_path_factory.mktemp("wheel")
    left_out = shutil.ignore_patterns(*NOT_IN_A_CLONE)
    shutil.copytree(ROOT, folder / "clone", symlinks=True, ignore=left_out)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "clone")
    shutil.rmtree(folder / "clone")
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def members(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def pip(*args: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", args[0], "--no-index", "--quiet", *map(str, args[1:])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_packages_and_nothing_else(members: set[str]) -> None:
    top = {member.partition("/")[0] for member in members}
    assert top == {"edge", "convert", f"earsight-{__version__}.dist-info"}


def test_every_module_is_in_it(members: set[str]) -> None:
    sources = {
        path.relative_to(ROOT).as_posix()
        for package in ("edge", "convert")
        for path in (ROOT / package).rglob("*.py")
    }
    assert {member for member in members if member.endswith(".py")} == sources


def test_the_data_is_in_it(members: set[str]) -> None:
    recipes = {f"convert/recipes/{path.name}" for path in (ROOT / "convert/recipes").iterdir()}
    assert recipes
    assert (
        recipes
        | {
            "edge/probe.tflite",
            "edge/py.typed",
            "edge/web/static/index.html",
            "convert/py.typed",
            "convert/population/voices/texts.json",
        }
        <= members
    )
    assert any(m.startswith("earsight-") and m.endswith("/LICENSE") for m in members)


def test_the_default_bundle_and_its_sample_gallery_are_in_it(members: set[str]) -> None:
    models = ("voice_encoder", "face_encoder", "portrait_decoder")
    bundle = {f"default.bundle/{model}.tflite" for model in models}
    bundle |= {f"default.bundle/{name}.json" for name in ("manifest", "recipe", "report")}
    wanted = {f"edge/bundles/{path}" for path in bundle | {"sample.gallery"}}
    assert wanted - members == set()


def test_it_runs_where_nothing_else_is_installed(wheel: Path, tmp_path: Path) -> None:
    pip("install", "--no-deps", "--target", tmp_path / "site", wheel)
    output = subprocess.run(
        # -S: without the site-packages of this environment, which know the sources
        [sys.executable, "-S", tmp_path / "site/bin/earsight", "--version"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert output == f"earsight {__version__}\n"
