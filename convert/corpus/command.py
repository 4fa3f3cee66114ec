"""The `earsight-convert embed` command: its arguments, and what it prints."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import ConfigError
from edge.people.photo_workers import usable_cores

if TYPE_CHECKING:
    from ..datasets.item import Item

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EMBED = """\
Embed every voice and face of a data set with a bundle's int8 encoders, on this machine's cores or
on a Dask cluster. Stopped at any moment, the same command goes on. A file that cannot be used is
named in failures.csv and stops nothing.
"""
LAYOUTS = ("folder", "voxceleb", "avspeech")
SHOWN = 5  # failures printed


def add_command(commands: Commands) -> None:
    """Add `embed`."""
    command = commands.add_parser(
        "embed", help="embed a data set, in shards that can be resumed", description=EMBED
    )
    command.add_argument("bundle", type=Path, metavar="BUNDLE", help="NAME.bundle")
    command.add_argument(
        "data", type=Path, nargs="+", metavar="DATASET",
        help="folder; voxceleb: several, where voices and faces lie apart",
    )  # fmt: skip
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the corpus")
    command.add_argument(
        "--layout", choices=LAYOUTS, default="folder",
        help="folder: PERSON/.../FILE, as VoxCeleb or VGGFace alone are too; voxceleb: both, of "
        "the people in --lists; avspeech: the segments of the CSV --lists (folder)",
    )  # fmt: skip
    command.add_argument(
        "--lists", type=Path, metavar="PATH", help="folder of vox1_*.csv, or AVSpeech's CSV"
    )
    command.add_argument(
        "--reading", choices=("device", "published"), default="device",
        help="device: find speech and face, as a device does; published: take files whole, as the "
        "papers' loaders do (device)",
    )  # fmt: skip
    command.add_argument(
        "--workers", type=int, default=usable_cores(), help="processes on this machine (its cores)"
    )
    command.add_argument(
        "--scheduler", metavar="ADDRESS",
        help="of a running Dask scheduler, tcp://HOST:PORT, whose workers compute instead",
    )  # fmt: skip
    command.add_argument(
        "--shard", type=int, metavar="N", help="items in a file (64 to 1024, by their number)"
    )


def run(args: argparse.Namespace) -> int:
    """Carry out the command; return its exit code: 1 when nothing could be embedded."""
    from .embed import FAILURES_NAME, embed_items

    corpus = embed_items(
        args.bundle,
        items_of(args.layout, args.data, args.lists),
        args.out,
        workers=args.workers,
        scheduler=args.scheduler,
        shard=args.shard,
        reading=args.reading,
    )
    index = corpus.index
    print(f"{index.items - index.failed} of {index.items} embedded, {len(index.shards)} shards")
    if len(index.runtimes) > 1:
        print(f"  by several interpreters: {', '.join(index.runtimes)}")
    for number, (name, reason) in enumerate(corpus.failures()):
        if number == SHOWN:
            print(f"  ... all {index.failed} are in {args.out / FAILURES_NAME}")
            break
        print(f"  {name}: {reason}")
    return 1 if index.failed == index.items else 0


def items_of(layout: str, data: Sequence[Path], lists: Path | None) -> Iterator[Item]:
    """Return the items of a data set.

    Args:
        layout: one of `LAYOUTS`.
        data: folders of it.
        lists: who is in it, for every layout but "folder".

    Raises:
        ConfigError: a layout lacks its lists, or is given more folders than it reads.
        InputError: a folder or a list cannot be used.
    """
    if layout == "voxceleb":
        from ..datasets.identities import read_splits
        from ..datasets.voxceleb import find_voxceleb

        if lists is None:
            raise ConfigError("--layout voxceleb needs --lists FOLDER with vox1_*.csv")
        people = read_splits(lists)
        found = find_voxceleb(data, people)
        return (item for identity in people for item in found.items(identity))
    if len(data) > 1:
        raise ConfigError(f"--layout {layout} reads one DATASET, {len(data)} were given")
    if layout == "avspeech":
        from ..datasets.avspeech import read_segments, segment_items

        if lists is None:
            raise ConfigError("--layout avspeech needs --lists FILE.csv")
        return segment_items(read_segments(lists), data[0])
    from ..datasets.folders import folder_items

    return folder_items(data[0])
