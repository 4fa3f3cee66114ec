"""The `earsight-convert evaluate` command: its arguments, and what it prints."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import ConfigError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

SHOWN = 20  # of missing files, on the terminal; --out names all

EVALUATE = """\
Measure a bundle by the protocol of Seeking the Shape of Sound: every file that the published lists
name (match_*, verify_*, reterival_*) is embedded with the bundle's int8 encoders; 1:N matching,
verification and retrieval over the lists are printed beside the published figures. The lists'
folder also holds the tables vox1_*.csv. Stopped at any moment, the same command goes on.
"""


def add_command(commands: Commands) -> None:
    """Add `evaluate`."""
    command = commands.add_parser(
        "evaluate", help="the paper's table, over the published lists", description=EVALUATE
    )
    command.add_argument("bundle", type=Path, metavar="BUNDLE", help="NAME.bundle")
    command.add_argument(
        "--data", type=Path, action="append", required=True, metavar="FOLDER",
        help="holds VoxCeleb1's voices or VGGFace's faces; may be repeated",
    )  # fmt: skip
    command.add_argument(
        "--lists", type=Path, required=True, metavar="FOLDER", help="the published lists"
    )
    command.add_argument("--split", default="test", help="which lists (test)")
    command.add_argument(
        "--allow-missing", action="store_true", help="leave missing and damaged files out"
    )
    command.add_argument(
        "--reading", choices=["device", "published"],
        help="look for speech and faces as a device does, or take files whole as the authors do "
        "(default: by the bundle's front-end)",
    )  # fmt: skip
    command.add_argument(
        "--embeddings", type=Path, default=Path("embeddings"), metavar="FOLDER",
        help="where embeddings are kept (embeddings)",
    )  # fmt: skip
    command.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    command.add_argument("--scheduler", metavar="tcp://HOST:PORT", help="a Dask cluster instead")
    command.add_argument("--out", type=Path, metavar="FILE", help="write the table, .md or .json")


def run(args: argparse.Namespace) -> int:
    """Carry out the command; return its exit code.

    Raises:
        ConfigError: --out is neither .md nor .json.
    """
    from edge.storage import write_private

    from . import table
    from .evaluate import Options, evaluate

    if args.out is not None and args.out.suffix not in (".md", ".json"):
        raise ConfigError(f"--out {args.out}: must end with .md or .json")
    options = Options(
        tuple(args.data), args.lists, args.embeddings, args.split, args.allow_missing,
        args.reading, args.workers, args.scheduler,
    )  # fmt: skip
    done = evaluate(args.bundle, options)
    manifest = done.bundle.manifest
    missing = [f"{name}: {why}" for name, why in done.missing.items()]
    title = f"{manifest.name}, int8, {args.split} lists"
    print(table.markdown(done.figures, title, missing, SHOWN), end="")
    if args.out is not None:
        text = table.markdown(done.figures, title, missing)
        if args.out.suffix == ".json":
            about = {"name": manifest.name, "space_id": manifest.embedding.space_id}
            text = table.as_json(done.figures, {**about, "split": args.split}, done.missing)
        write_private(args.out, text.encode())
    return 0
