"""The plainest layout: a folder for each person, voices and pictures anywhere below it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge.errors import InputError

from .item import Item, files_below, kind_of


def folder_items(root: Path) -> Iterator[Item]:
    """Yield the files of every person's folder; an id is the path below `root`.

    Raises:
        InputError: `root` is no folder, or holds no folder with a voice or a face in it.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; check the name")
    empty = True
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        for path in files_below(folder):
            kind = kind_of(path.name)
            if kind is not None:
                empty = False
                yield Item(path.relative_to(root).as_posix(), path, kind, folder.name)
    if empty:
        raise InputError(f"{root}: no folder of a person with sounds or pictures in it")
