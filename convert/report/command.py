"""The `earsight-convert report` command: its arguments, and what it prints."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from edge.bundle import load_bundle
from edge.errors import ConfigError

from ..recipe import load_recipe

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

REPORT = """\
Measure a bundle the way both papers measure, on the people that no network saw in training: float,
int8 on LiteRT and int8 on tflite-runtime beside the ideal observer. Writes report.html, one page
with every picture inside, and report.json.
"""


def add_command(commands: Commands, geometry_variable: str) -> None:
    """Add `report`; `geometry_variable` names the environment's head geometry."""
    report = commands.add_parser("report", help="measure a bundle, as a page", description=REPORT)
    report.add_argument("bundle", type=Path, metavar="BUNDLE", help="NAME.bundle")
    report.add_argument(
        "--work", type=Path, default=Path("work/default"),
        help="the folder that the bundle was built in (work/default)",
    )  # fmt: skip
    report.add_argument(
        "--out", type=Path, default=Path("out/report"), help="folder to write (out/report)"
    )
    report.add_argument("--recipe", type=Path, help="instead of the bundle's own")
    report.add_argument(
        "--geometry", type=Path, default=os.environ.get(geometry_variable),
        help=f"head geometry pack, for the proportions of faces (default: ${geometry_variable})",
    )  # fmt: skip
    report.add_argument(
        "--voices", type=Path, metavar="FOLDER", help="real voices: FOLDER/SPEAKER/*.flac"
    )
    report.add_argument(
        "--labels", type=Path, metavar="FILE",
        help="their sex, one speaker a line: NAME,f or NAME,m (FOLDER/SPEAKERS.TXT, speakers.csv)",
    )  # fmt: skip
    report.add_argument(
        "--attach", action="store_true", help="also put report.json into the bundle"
    )
    report.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")


def run(args: argparse.Namespace) -> int:
    """Carry out the command; return its exit code: 1 when a gate of the recipe is missed."""
    from .attach import attach_report
    from .run import Request, make_report

    bundle = load_bundle(args.bundle)
    if args.labels is not None and args.voices is None:
        raise ConfigError("--labels names the sex of real voices; give --voices FOLDER too")
    request = Request(
        bundle=bundle,
        recipe=load_recipe(args.recipe or bundle.path / "recipe.json"),
        work=args.work,
        out=args.out,
        geometry=Path(args.geometry) if args.geometry else None,
        voices=args.voices,
        labels=args.labels,
        workers=args.workers,
    )
    report = make_report(request)
    for name in ("report.html", "report.json"):
        print(args.out / name)
    if args.attach:
        attach_report(bundle, (args.out / "report.json").read_bytes())
    missed = [row["what"] for row in report["gates"] if not row["reached"]]
    for what in missed:
        print(f"gate missed: {what}")
    return 1 if missed else 0
