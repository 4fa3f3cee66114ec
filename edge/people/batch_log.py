"""What became of each photo of a folder that is enrolled: one JSON line per person, in a file.

A line is written after the person is in the store. If the machine stops between the two, the
person is read again and found to be there; a line that is torn is dropped.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import StorageError
from .batch_plan import Planned


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that was not enrolled."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one person."""

    photos: int  # enrolled; 0 when nothing of theirs could be used
    refused: tuple[Refused, ...]


class BatchLog:
    """The log of one folder; with other models than it was made with it is begun anew."""

    def __init__(self, path: Path, models: str) -> None:
        """Read what is there and open it for writing, mode 0600.

        Raises:
            StorageError: the file cannot be read or written.
        """
        self._path = path
        self._entries: dict[tuple[str, str], Entry] = {}
        header = {"models": models}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with open(self._file, "rb", closefd=False) as file:
                content = file.read()
            whole = content[: content.rfind(b"\n") + 1]
            first, *lines = [_parsed(line) for line in whole.splitlines()] or [None]
            if first != header:
                whole, lines = b"", []
            os.ftruncate(self._file, len(whole))
            if not whole:
                self._append(header)
        except OSError as exc:
            raise StorageError(
                f"{path}: cannot be used ({exc.strerror}); remove it to read the folder anew"
            ) from exc
        for line in lines:
            if line is not None:
                entry = Entry(line["photos"], tuple(Refused(*pair) for pair in line["refused"]))
                self._entries[line["name"], line["files"]] = entry

    def find(self, person: Planned) -> Entry | None:
        """Return what became of a person, None if that is unknown or their files have changed."""
        return self._entries.get((person.name, person.fingerprint()))

    def add(self, person: Planned, entry: Entry) -> None:
        """Note what became of a person.

        Raises:
            StorageError: the disk is full.
        """
        files = person.fingerprint()
        self._entries[person.name, files] = entry
        refused = [[r.file, r.reason] for r in entry.refused]
        line = {"name": person.name, "files": files, "photos": entry.photos, "refused": refused}
        try:
            self._append(line)
        except OSError as exc:
            raise StorageError(
                f"{self._path}: cannot be written ({exc.strerror}); free some space"
            ) from exc

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _append(self, line: dict[str, Any]) -> None:
        content = json.dumps(line).encode() + b"\n"
        if os.write(self._file, content) < len(content):  # then a second write says why
            os.write(self._file, b"\n")


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return a line's object, None for one torn by a full disk."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
