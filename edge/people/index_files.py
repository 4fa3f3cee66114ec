"""A large gallery's search rows as NumPy files that are mapped into memory.

::

    NAME.gallery-index/
      header.json                              of which store and when
      labels.npy  label_ends.npy               ids and names
      photo.npy   photo_codes.npy   photo_owners.npy    and the same for voice

They hold nothing that the store does not: a folder that is stale, damaged or missing is made anew.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..face.gallery import Rows
from ..storage import replace_directory
from ..types import UInt8
from .codes import Codes, encode
from .flat_index import FlatIndex

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which state of which store."""

    uid: str
    generation: int
    space_id: str
    dim: int


@dataclass(frozen=True, slots=True)
class Labels:
    """Ids and names of many people in little memory."""

    packed: UInt8  # UTF-8, id and name of each person, one after the other
    ends: npt.NDArray[np.int64]  # (2 n,), where each text ends

    def __len__(self) -> int:
        return len(self.ends) // 2

    def at(self, position: int) -> tuple[str, str]:
        """Return id and name of one person."""
        start = int(self.ends[2 * position - 1]) if position else 0
        middle, end = (int(e) for e in self.ends[2 * position : 2 * position + 2])
        texts = self.packed[start:middle].tobytes(), self.packed[middle:end].tobytes()
        return texts[0].decode(), texts[1].decode()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Names and rows of one moment."""

    labels: Labels
    rows: tuple[Rows, ...]
    valid_until_s: float  # when the next consent expires, seconds since 1970


def save_snapshot(folder: Path, stamp: Stamp, snapshot: Snapshot) -> None:
    """Write the files atomically, for their owner alone.

    Raises:
        StorageError: the disk refused.
    """
    with replace_directory(folder) as new:
        arrays: dict[str, npt.NDArray[Any]] = {
            "labels": snapshot.labels.packed,
            "label_ends": snapshot.labels.ends,
        }
        kinds = {}
        for rows in snapshot.rows:
            if not isinstance(rows.index, FlatIndex):
                continue
            codes = rows.index.codes or encode(rows.index.vectors)
            arrays[rows.kind] = rows.index.vectors
            arrays[f"{rows.kind}_codes"] = codes.values
            arrays[f"{rows.kind}_owners"] = rows.owners
            kinds[rows.kind] = {"step": codes.step, "error": codes.error}
        for name, array in arrays.items():
            np.save(new / f"{name}.npy", array, allow_pickle=False)
        header: dict[str, Any] = {"format": FORMAT, **asdict(stamp), "kinds": kinds}
        header["valid_until_s"] = snapshot.valid_until_s
        (new / "header.json").write_text(json.dumps(header), encoding="utf-8")
        for file in new.iterdir():
            file.chmod(0o600)


def load_snapshot(folder: Path, stamp: Stamp, now_s: float) -> Snapshot | None:
    """Map the files of a store's present state; None when there are none that fit."""
    try:
        header = json.loads((folder / "header.json").read_text(encoding="utf-8"))
        wanted = {"format": FORMAT, **asdict(stamp)}
        until_s = float(header["valid_until_s"])
        if {key: header.get(key) for key in wanted} != wanted or until_s <= now_s:
            return None
        labels = Labels(_map(folder / "labels.npy"), _map(folder / "label_ends.npy"))
        rows = tuple(_rows(folder, header["kinds"], stamp.dim, len(labels)))
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
    return Snapshot(labels, rows, until_s)


def drop_snapshot(folder: Path) -> None:
    """Remove the files: they hold people who are no longer in the store."""
    shutil.rmtree(folder, ignore_errors=True)


def _rows(folder: Path, kinds: dict[Any, Any], dim: int, people: int) -> Iterable[Rows]:
    for kind, codes in kinds.items():
        vectors, values = _map(folder / f"{kind}.npy"), _map(folder / f"{kind}_codes.npy")
        owners = _map(folder / f"{kind}_owners.npy")
        shape = (len(owners), dim)
        if vectors.shape != shape or values.shape != shape or owners.max() >= people:
            raise ValueError(kind)
        if vectors.dtype != np.float32 or values.dtype != np.int8 or owners.dtype != np.intp:
            raise ValueError(kind)
        index = FlatIndex(vectors, Codes(values, codes["step"], codes["error"]))
        yield Rows(kind, index, owners)


def _map(path: Path) -> npt.NDArray[Any]:
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
