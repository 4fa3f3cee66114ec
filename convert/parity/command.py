"""The `earsight-convert parity` command: its arguments, and what it prints."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..importing.command import add_options, options_of, sources_of

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

PARITY = """\
Compare an imported network in float and in int8, layer by layer and at the output, and, where
--original gives what the original framework computed, float with that. Writes a Markdown page and
its pictures.
"""


def add_command(commands: Commands) -> None:
    """Add `parity`."""
    command = commands.add_parser(
        "parity", help="hold an imported network to its original", description=PARITY
    )
    command.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="file with weights")
    command.add_argument("--layout", required=True, metavar="NAME", help="what it holds")
    command.add_argument("--out", type=Path, required=True, help="the page to write, .md")
    command.add_argument("--title", help="of the page; the layout's name without it")
    command.add_argument(
        "--original", type=Path, metavar="NPZ",
        help="ROLE.input, ROLE.output and ROLE/LAYER of the original framework",
    )  # fmt: skip
    command.add_argument(
        "--speakers", type=Path, metavar="FOLDER", help="FOLDER/SPEAKER/recordings, to tell apart"
    )
    command.add_argument(
        "--people", type=Path, metavar="FOLDER", help="FOLDER/PERSON/photos, to tell apart"
    )
    command.set_defaults(add=[])
    add_options(command)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; return its exit code: 1 when a gate is missed."""
    from .compare import People, compare
    from .page import write_page

    (source,), chosen = sources_of(args), options_of(args)
    with tempfile.TemporaryDirectory() as work:
        people = People(args.speakers, args.people)
        networks = compare(source, chosen, people, args.original, Path(work))
    title = args.title or source.layout.name
    about = f"`{source.path.name}`: {source.layout.about}."
    command = f"earsight-convert parity {args.checkpoint.name} --layout {args.layout}"
    write_page(args.out, title, about, command, networks)
    missed = False
    for network in networks:
        for name, value in network.figures.items():
            print(f"{network.role} {name:12} {value:8.4f}")
        if network.distances:
            print(f"{network.role} against the original {network.distances[-1].relative:.1e}")
        missed |= network.figures.get("cosine", 1.0) < chosen.min_cosine
        missed |= network.figures.get("psnr_db", 99.0) < chosen.min_psnr_db
    print(f"{args.out}: written")
    return 1 if missed else 0
