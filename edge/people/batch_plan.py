"""Who is in a folder of people."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError


@dataclass(frozen=True, slots=True)
class Planned:
    """One person to enrol."""

    name: str
    photos: tuple[Path, ...]  # sorted

    def fingerprint(self) -> str:
        """Return what changes when a file of theirs comes, goes or is written again."""
        digest = hashlib.sha256()
        for path in self.photos:
            try:
                found = path.stat()
                what = f"{path.name}\0{found.st_size}\0{found.st_mtime_ns}\0"
            except OSError:
                what = f"{path.name}\0gone\0"
            digest.update(what.encode(errors="surrogateescape"))
        return digest.hexdigest()[:32]


def plan_folder(folder: Path) -> tuple[Planned, ...]:
    """Return the people of a folder, by name.

    A sub-folder is a person and its files their photos; a file in the folder itself is a person
    with one photo, called like the file without its ending. Hidden files are left out.

    Raises:
        InputError: the folder cannot be read.
    """
    photos: dict[str, list[Path]] = {}
    for path, is_folder in _entries(folder):
        if is_folder:
            inner = [file for file, is_one in _entries(path) if not is_one]
            photos.setdefault(path.name, []).extend(inner)
        else:
            photos.setdefault(path.stem, []).append(path)
    return tuple(Planned(name, tuple(sorted(photos[name]))) for name in sorted(photos))


def photos_of(folder: Path) -> tuple[Path, ...]:
    """Return the files of one person's folder, sorted; hidden files are left out.

    Raises:
        InputError: the folder cannot be read.
    """
    return tuple(sorted(path for path, is_folder in _entries(folder) if not is_folder))


def _entries(folder: Path) -> list[tuple[Path, bool]]:
    """Return what is in a folder, and whether it is a folder."""
    try:
        with os.scandir(folder) as found:
            return [(Path(e.path), e.is_dir()) for e in found if not e.name.startswith(".")]
    except OSError as exc:
        raise InputError(f"{folder}: cannot be read ({exc.strerror}); give a folder") from exc
