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
    """A file of items, one a line, that can be read a shard at a time."""

    path: Path
    count: int
    sha256: str
    kinds: frozenset[str]  # that occur
    starts: tuple[int, ...]  # byte at which each shard's lines begin

    def read(self, shard: int) -> tuple[Item, ...]:
        """Return the items of one shard."""
        with self.path.open("rb") as file:
            file.seek(self.starts[shard])
            last = shard + 1 == len(self.starts)
            lines = file.read(-1 if last else self.starts[shard + 1] - self.starts[shard])
        return tuple(_item(line) for line in lines.splitlines())


def write_items(items: Iterable[Item], path: Path, shard_items: int) -> ItemList:
    """Write a list of items, paths made absolute, with mode 0600; return what it is.

    Takes the items one by one: 16 bytes of each stay in memory.

    Raises:
        ConfigError: there are none, or two have the same id.
        StorageError: the disk refuses.
    """
    digest, starts, kinds = hashlib.sha256(), [], set()
    marks = array("Q")  # 64 bits of each id, in which a million have a common one by chance once
    position = 0  # in 20 million lists: then too it is looked up
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            for number, item in enumerate(items):
                if number % shard_items == 0:
                    starts.append(position)
                place = str(item.path.absolute())  # as a worker elsewhere needs it
                line = json.dumps([item.id, item.kind, item.person, place]).encode() + b"\n"
                digest.update(line)
                position += file.write(line)
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
    listed = ItemList(path, len(marks), digest.hexdigest(), frozenset(kinds), tuple(starts))
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
    for item in _all(listed):
        if mark(item.id) in suspects:
            if item.id in seen:
                raise ConfigError(f"two items are called {item.id}; give each an id of its own")
            seen.add(item.id)


def _all(listed: ItemList) -> Iterator[Item]:
    for shard in range(len(listed.starts)):
        yield from listed.read(shard)


def _item(line: bytes) -> Item:
    name, kind, person, path = json.loads(line)
    return Item(name, Path(path), kind, person)
