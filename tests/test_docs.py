"""README and CHANGELOG against the code: commands, options, exit codes, JSON keys, targets."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert import cli as convert_cli
from edge import __version__, errors
from edge import cli as edge_cli
from edge.arguments import build_parser
from edge.bundle import FORMAT
from edge.commands.loading import identity
from edge.types import Match, Sighting, Timings, Traits, Utterance, Verdict, VoicePrint
from tests.fakes import FakeBundle

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "firmware_cfg/README.md"]
PARSERS = {"earsight": build_parser(), "earsight-convert": convert_cli._parser()}
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
SYSTEM = {
    "pip",
    "git",
    "cd",
    "sudo",
    "openssl",
    ".",
    "scp",
    "export",
    "python3",
    "onnx/bin/pip",
}  # first words of shell lines that are not ours


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def subcommands(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
    """Yield the full name of every command without commands of its own."""
    nested = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not nested:
        yield name
    for action in nested:
        for word, child in action.choices.items():
            yield from subcommands(child, f"{name} {word}")


def shell_lines() -> Iterator[tuple[str, str]]:
    for document in DOCUMENTS:
        text = (ROOT / document).read_text(encoding="utf-8")
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                yield document, line


def keys(value: Any) -> Any:
    """Return the keys of a JSON value, in order, with null for every other value."""
    if isinstance(value, dict):
        return [[key, keys(inner)] for key, inner in value.items()]
    return [keys(value[0])] if isinstance(value, list) else None


@pytest.mark.parametrize("program", PARSERS)
def test_every_command_is_shown(program: str) -> None:
    assert [c for c in subcommands(PARSERS[program], program) if c not in README] == []


@pytest.mark.parametrize(("document", "line"), list(shell_lines()))
def test_shell_lines_can_be_run(document: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARSIGHT_GEOMETRY", raising=False)
    program, *arguments = shlex.split(line)
    if program in PARSERS:
        PARSERS[program].parse_args(arguments)  # exits, and so fails, on a wrong one
    elif program == "make":
        assert {a for a in arguments if "=" not in a} <= TARGETS
    elif program not in SYSTEM:
        assert (ROOT / program).is_file(), f"{document}: {line}"


def test_every_make_target_named_exists() -> None:
    for document in DOCUMENTS:
        text = (ROOT / document).read_text(encoding="utf-8")
        assert set(re.findall(r"`make ([a-z-]+)", text)) <= TARGETS, document


def test_every_file_named_exists() -> None:
    paths = re.findall(r"`((?:edge|convert|firmware_cfg|tests)/[\w/.]*)`", README)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_exit_codes_are_those_of_the_errors() -> None:
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", section("Exit codes"), re.M)}
    classes = [c for c in vars(errors).values() if isinstance(c, type)]
    raised = {c.exit_code for c in classes if issubclass(c, errors.EarsightError)}
    argparse_and_success = {0, 2}
    assert documented == raised | argparse_and_success | {
        edge_cli.INTERRUPTED,
        edge_cli.PIPE_CLOSED,
    }


def test_the_json_has_exactly_the_documented_keys() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", section("The JSON it prints"), re.DOTALL)
    sighting = Sighting(
        Utterance(np.zeros(1, np.float32), 0.0, 1.0, "x"),
        VoicePrint(np.ones(1, np.float32), Traits(0.5, 0.5, 100.0, 15.0, 40.0, (20.0, 60.0)), 1),
        (Match(1, "u0001", "x", 0.5),),
        None,
        Timings(1.0, 1.0, 1.0, 1.0),
        Verdict(False, False, 0.1, "x"),
    )
    result = {
        "bundle": identity(FakeBundle()),
        "utterances": [sighting.as_json("x.png")],
    }
    assert keys(json.loads(example)) == keys(result)


def test_the_changelog_has_this_version_and_bundle_format() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(.+?)\].*?^Bundle format: (\d+)$", changelog, re.M | re.DOTALL)
    assert newest is not None
    assert newest.groups() == (__version__, str(FORMAT))


def test_the_bundle_format_is_the_one_that_is_read() -> None:
    assert f"format {FORMAT};" in section("Bundle format")
