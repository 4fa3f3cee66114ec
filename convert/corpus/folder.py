"""A corpus folder before its shards are made: alone in it, its plan settled, what is done known."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from edge.bundle import Bundle
from edge.errors import BundleError, StorageError
from edge.storage import write_private

from ..datasets.item import Item
from .index import INDEX_NAME, Entry
from .items import ITEMS_NAME, ItemList, write_items
from .plan import (
    FORMAT,
    Plan,
    Reading,
    check_same,
    default_shard,
    parts_of,
    read_plan,
    shard_name,
    write_plan,
)
from .shard import Shard, pack_shard, read_shard


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make the folder and keep a second command out of it.

    Raises:
        StorageError: a command is at work in it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise StorageError(f"{folder}: cannot be written ({exc.strerror}); check it") from exc
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise StorageError(
                f"{folder}: another command is at work in it; wait for its end"
            ) from exc
        except OSError:
            pass  # a network disk without locks: shards are replaced whole all the same
        yield
    finally:
        os.close(handle)


def settle(
    folder: Path, bundle: Bundle, items: Iterable[Item], shard: int | None, reading: Reading
) -> tuple[Plan, ItemList]:
    """Write plan and item list, or hold them to those that are there.

    Raises:
        BundleError: the bundle lacks an encoder, or the folder was made with another one.
        ConfigError: there are no items, two have one id, or an option differs from the folder's.
        StorageError: the folder holds other items, or cannot be written.
    """
    had = read_plan(folder)
    part = folder / f".{ITEMS_NAME}.part"
    try:
        listed = write_items(items, part)
        for kind in sorted(listed.kinds):
            if not bundle.has(f"{kind}_encoder"):
                raise BundleError(f"{bundle.path}: has no {kind} encoder for the {kind}s given")
        space = bundle.manifest.embedding
        plan = Plan(
            format=FORMAT,
            space_id=space.space_id,
            dim=space.dim,
            made_with=parts_of(bundle),
            reading=reading,
            items=listed.count,
            items_sha256=listed.sha256,
            shard_items=shard or (had.shard_items if had else default_shard(listed.count)),
        )
        if had is not None:
            check_same(folder, had, plan)
        part.replace(folder / ITEMS_NAME)
    finally:
        part.unlink(missing_ok=True)
    if had is None:
        write_plan(folder, plan)
    return plan, replace(listed, path=folder / ITEMS_NAME)


def whole_shards(folder: Path, plan: Plan, listed: ItemList) -> dict[int, Entry]:
    """Return the shards that need not be made, by number; say which are damaged.

    Unless that is all of them the index goes, and what a killed command left half written.
    """
    for left in folder.glob(".shard_*.npz.*"):
        left.unlink(missing_ok=True)
    found = {}
    for number in range(plan.shards):
        path = folder / shard_name(number)
        if not path.exists():
            continue
        try:
            shard, content = read_shard(path, plan.digest(), listed.read(plan.rows(number)))
        except StorageError as exc:
            print(f"{str(exc).partition('; ')[0]}; it is made again", file=sys.stderr)
            continue
        found[number] = _entry(number, shard, content)
    if len(found) < plan.shards:
        (folder / INDEX_NAME).unlink(missing_ok=True)
    return found


def write_shard(folder: Path, plan: Plan, number: int, shard: Shard) -> Entry:
    """Write a shard whole: a temporary file, flushed to the disk, then renamed.

    Raises:
        StorageError: the disk refuses.
    """
    content = pack_shard(shard, plan.digest())
    write_private(folder / shard_name(number), content)
    return _entry(number, shard, content)


def _entry(number: int, shard: Shard, content: bytes) -> Entry:
    digest = hashlib.sha256(content).hexdigest()
    return Entry(shard_name(number), len(shard.ids), len(shard.failures), shard.runtime, digest)
