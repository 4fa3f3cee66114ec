"""Reads a finished corpus: shard after shard, or single vectors by id, never all at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import StorageError
from edge.types import Float32

from .index import Index, read_index
from .items import mark
from .mapped import Place, find_arrays, map_array
from .plan import Plan, read_plan
from .shard import Shard, unpack_shard

OPEN_SHARDS = 128  # mapped at a time: each costs a file descriptor


def read_corpus(folder: Path) -> Corpus:
    """Open a corpus that `embed_items` has finished.

    Reads the ids, and keeps 16 bytes of each in memory.

    Raises:
        StorageError: the folder holds none, it is not finished, or it is damaged.
    """
    plan = read_plan(folder)
    if plan is None:
        raise StorageError(f"{folder}: holds no corpus; make one with: earsight-convert embed")
    index = read_index(folder, plan)
    places = []
    marks = np.empty(plan.items, np.uint64)
    for number, entry in enumerate(index.shards):
        ids, embeddings = find_arrays(folder / entry.file, "ids", "embeddings")
        rows = plan.rows(number)
        if ids.shape != (len(rows),) or embeddings.shape != (len(rows), plan.dim):
            raise StorageError(f"{folder / entry.file}: damaged; run the same command again")
        names = map_array(folder / entry.file, ids)
        marks[rows.start : rows.stop] = [mark(str(name)) for name in names]
        places.append(_Places(ids, embeddings))
    order = np.argsort(marks, kind="stable")
    return Corpus(folder, plan, index, places, marks[order], order)


@dataclass(frozen=True, slots=True)
class _Places:
    ids: Place
    embeddings: Place


class Corpus:
    """The vectors of a finished corpus, on disk. Belongs to one thread."""

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        index: Index,
        places: Sequence[_Places],
        marks: npt.NDArray[np.uint64],
        rows: npt.NDArray[np.int64],
    ) -> None:
        self.folder = folder
        self.plan = plan
        self.index = index
        self._places = places
        self._marks = marks  # (n,) of the ids, rising
        self._rows = rows  # (n,) where each of them is
        self._map = lru_cache(OPEN_SHARDS)(self._open)
        self._failures = lru_cache(OPEN_SHARDS)(self._read_failures)

    def __len__(self) -> int:
        """Return the number of items, failed ones too."""
        return self.plan.items

    def __contains__(self, item_id: str) -> bool:
        """Tell whether there is an item of this id, with a vector or failed."""
        return self._row(item_id) is not None

    def find(self, item_id: str) -> Float32 | None:
        """Return the unit vector (d,) of an item, None if it has none; `reason` then says why."""
        row = self._row(item_id)
        if row is None:
            return None
        vector = self._embedding(row)
        return None if np.isnan(vector[0]) else vector

    def vectors(self, ids: Sequence[str]) -> Float32:
        """Return the vectors (n, d) of items, a row of NaN for one that has none.

        Looks shard after shard, so that many ids in any order cost less than one by one.
        """
        found = np.full((len(ids), self.plan.dim), np.nan, np.float32)
        marks = np.array([mark(item_id) for item_id in ids], np.uint64)
        places = np.searchsorted(self._marks, marks).clip(max=len(self._marks) - 1)
        for number in np.argsort(self._rows[places], kind="stable"):
            vector = self.find(ids[number])
            if vector is not None:
                found[number] = vector
        return found

    def reason(self, item_id: str) -> str:
        """Return why an item has no vector, "" if it has one."""
        row = self._row(item_id)
        if row is None:
            return "not in the corpus"
        shard, within = divmod(row, self.plan.shard_items)
        return self._failures(shard).get(within, "")

    def shards(self) -> Iterator[Shard]:
        """Yield every shard in the order of the items, held to its hash in the index.

        Raises:
            StorageError: one is damaged.
        """
        for entry in self.index.shards:
            path = self.folder / entry.file
            try:
                content = path.read_bytes()
            except OSError as exc:
                raise StorageError(f"{path}: cannot be read ({exc.strerror})") from exc
            if hashlib.sha256(content).hexdigest() != entry.sha256:
                raise StorageError(f"{path}: damaged; run the same `embed` command again")
            yield unpack_shard(content, str(path), self.index.plan)

    def failures(self) -> Iterator[tuple[str, str]]:
        """Yield id and reason of every item without a vector."""
        for number, entry in enumerate(self.index.shards):
            if entry.failed:
                ids = self._map(number)[0]
                for row, reason in self._failures(number).items():
                    yield str(ids[row]), reason

    def _row(self, item_id: str) -> int | None:
        """Return the position of an item among all."""
        sought = np.uint64(mark(item_id))
        first = int(np.searchsorted(self._marks, sought))
        while first < len(self._marks) and self._marks[first] == sought:
            row = int(self._rows[first])
            shard, within = divmod(row, self.plan.shard_items)
            if str(self._map(shard)[0][within]) == item_id:
                return row
            first += 1
        return None

    def _embedding(self, row: int) -> Float32:
        shard, within = divmod(row, self.plan.shard_items)
        return np.array(self._map(shard)[1][within], np.float32)

    def _open(self, shard: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        path = self.folder / self.index.shards[shard].file
        places = self._places[shard]
        return map_array(path, places.ids), map_array(path, places.embeddings)

    def _read_failures(self, shard: int) -> dict[int, str]:
        entry = self.index.shards[shard]
        if not entry.failed:
            return {}
        path = self.folder / entry.file
        rows, reasons = (map_array(path, p) for p in find_arrays(path, "failed", "reasons"))
        return dict(zip(rows.tolist(), reasons.tolist(), strict=True))
