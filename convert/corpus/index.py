"""What a finished corpus folder holds: counts, and the hash of every shard."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from edge.errors import StorageError
from edge.schema import read_dataclass
from edge.storage import write_private

from .plan import Plan

INDEX_NAME = "index.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One shard."""

    file: str
    items: int
    failed: int
    runtime: str  # interpreter and version that ran the models
    sha256: str


@dataclass(frozen=True, slots=True)
class Index:
    """Every shard, in the order of the items."""

    plan: str  # digest of the plan
    items: int
    failed: int
    runtimes: tuple[str, ...]  # more than one when the workers of a cluster differed
    shards: tuple[Entry, ...]


def write_index(folder: Path, plan: Plan, entries: list[Entry]) -> None:
    """Write the index of a folder whose shards are all there.

    Raises:
        StorageError: the disk refuses.
    """
    index = Index(
        plan.digest(),
        sum(entry.items for entry in entries),
        sum(entry.failed for entry in entries),
        tuple(sorted({entry.runtime for entry in entries})),
        tuple(entries),
    )
    write_private(folder / INDEX_NAME, (json.dumps(asdict(index), indent=1) + "\n").encode())


def read_index(folder: Path, plan: Plan) -> Index:
    """Return the index of a finished folder.

    Raises:
        StorageError: there is none yet, it is damaged, or another plan's.
    """
    path = folder / INDEX_NAME
    try:
        index = read_dataclass(Index, json.loads(path.read_text("utf-8")), ValueError)
    except FileNotFoundError as exc:
        raise StorageError(
            f"{folder}: is not finished; run the same `earsight-convert embed` command again"
        ) from exc
    except OSError as exc:
        raise StorageError(f"{path}: cannot be read ({exc.strerror}); check its rights") from exc
    except ValueError as exc:
        raise StorageError(f"{path}: damaged ({exc}); run the same `embed` command again") from exc
    if index.plan != plan.digest() or len(index.shards) != plan.shards:
        raise StorageError(f"{path}: is another corpus's; run the same `embed` command again")
    return index
