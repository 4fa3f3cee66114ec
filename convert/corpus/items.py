"""The list of a corpus's items, on disk: a million of them need no memory."""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.errors import ConfigError, StorageError

from ..datasets.item import Item

ITEMS_NAME = "items.jsonl"


@dataclass(frozen=True, slots=True)
class ItemList:
    """A file of items, one a line, of which any run can be read."""

    path: Path
    count: int
    sha256: str
    kinds: frozenset[str]  # that occur
    starts: array[int]  # byte at which each line begins, and where the last one ends

    def read(self, rows: range) -> tuple[Item, ...]:
        """Return the items at consecutive positions."""
        with self.path.open("rb") as file:
            file.seek(self.starts[rows.start])
            lines = file.read(self.starts[rows.stop] - self.starts[rows.start])
        return tuple(_item(line) for line in lines.splitlines())


def write_items(items: Iterable[Item], path: Path) -> ItemList:
    """Write a list of items, paths made absolute, with mode 0600; return what it is.

    Takes the items one by one: 16 bytes of each stay in memory.

    Raises:
        ConfigError: there are none, or two have the same id.
        StorageError: the disk refuses.
    """
    digest, kinds = hashlib.sha256(), set()
    starts = array("Q", [0])
    marks = array("Q")  # 64 bits of each id, of which two among a million are the same by chance
    # in one list of 40 million; then it is looked up
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            for item in items:
                place = str(item.path.absolute())  # as a worker elsewhere needs it
                line = json.dumps([item.id, item.kind, item.person, place]).encode() + b"\n"
                digest.update(line)
                starts.append(starts[-1] + file.write(line))
                kinds.add(item.kind)
                marks.append(mark(item.id))
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        raise StorageError(
            f"{path}: cannot be written ({exc.strerror}); check the folder and the space left"
        ) from exc
    if not marks:
        raise ConfigError("there is nothing to embed; check the data set's folder and layout")
    listed = ItemList(path, len(marks), digest.hexdigest(), frozenset(kinds), starts)
    _refuse_twins(listed, marks)
    return listed


def mark(item_id: str) -> int:
    """Return 64 bits that stand for an id."""
    content = item_id.encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def _refuse_twins(listed: ItemList, marks: array[int]) -> None:
    """Refuse a list in which two items have the same id."""
    ordered = np.sort(np.frombuffer(marks, np.uint64))
    suspects = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    if not suspects:
        return
    seen = set()
    for item in _all(listed.path):
        if mark(item.id) in suspects:
            if item.id in seen:
                raise ConfigError(f"two items are called {item.id}; give each an id of its own")
            seen.add(item.id)


def _all(path: Path) -> Iterator[Item]:
    with path.open("rb") as file:
        yield from map(_item, file)


def _item(line: bytes) -> Item:
    name, kind, person, path = json.loads(line)
    return Item(name, Path(path), kind, person)
