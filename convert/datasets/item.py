"""One file of a data set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

Kind = Literal["voice", "face"]

VOICES = (".flac", ".m4a", ".mp3", ".ogg", ".wav")
FACES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


@dataclass(frozen=True, slots=True)
class Item:
    """A voice or a face of somebody, where it lies and what the published lists call it."""

    id: str  # path as the lists write it, id10117/59-3D0HIDAc/00001.wav or CCH_Pounder/00000657.jpg
    path: Path  # of the file
    kind: Kind
    person: str  # the same for a person's voices and faces; of a split, its VoxCeleb1 id


def kind_of(name: str) -> Kind | None:
    """Tell from its ending whether a file is a voice, a face or neither."""
    suffix = PurePosixPath(name).suffix.lower()
    return "voice" if suffix in VOICES else "face" if suffix in FACES else None


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and its folders, sorted; nothing where there is none."""
    if folder.is_dir():
        for entry in sorted(os.scandir(folder), key=lambda e: e.name):
            if entry.is_dir():
                yield from files_below(Path(entry.path))
            elif entry.is_file():
                yield Path(entry.path)
