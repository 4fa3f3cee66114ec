"""What a search sees of a store: names, and one row for each person and kind of sample.

A row is the normalised mean of that person's samples of the kind. Whose consent has expired is left
out. A large gallery's rows are kept in files beside the store and mapped into memory from there,
so that starting does not read every sample again and several processes share the pages; an
encrypted store has no such files.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from ..errors import ConfigError
from ..face.gallery import Gallery, Listed, Rows
from ..sqlite import reading
from ..types import Float32
from .database import get_meta
from .encryption import PlainSeal, Seal
from .flat_index import FlatIndex
from .index_files import Labels, Snapshot, Stamp, load_snapshot, save_snapshot
from .person import KINDS, mean_direction
from .qdrant_index import Qdrant
from .sample_rows import read_owners, read_samples, read_thumbnail, read_vectors

MAPPED = 20_000  # rows of a kind from which on they are kept in files


def take_snapshot(
    connection: sqlite3.Connection, seal: Seal, path: Path, engine: str = ""
) -> Gallery:
    """Read a store as it is at one moment.

    Args:
        connection: to the store, in no transaction.
        seal: of its values.
        path: its file.
        engine: where else to search, see `qdrant_index`; "" searches here.

    Raises:
        ConfigError: an encrypted store would be sent to an engine.
        StorageError: a sample is damaged, or the engine does not answer.
        sqlite3.Error: the file cannot be read.
    """
    connection.execute("BEGIN")  # one moment, whatever others write meanwhile
    try:
        now_s = time.time()
        stamp = _stamp(connection)
        found = None if engine else load_snapshot(index_folder(path), stamp, now_s)
        if engine:
            rows = _engine_rows(connection, seal, now_s, stamp, engine)
            until_s = _valid_until(connection, now_s)
            found = Snapshot(_labels(connection, seal, now_s), rows, until_s)
        elif found is None:
            found = Snapshot(
                _labels(connection, seal, now_s),
                _rows(connection, seal, now_s),
                _valid_until(connection, now_s),
            )
            large = max((len(rows.index) for rows in found.rows), default=0) >= MAPPED
            if large and seal.name == PlainSeal.name:
                save_snapshot(index_folder(path), stamp, found)
                found = load_snapshot(index_folder(path), stamp, now_s) or found
    finally:
        connection.execute("ROLLBACK")
    people = StoredPeople(found.labels, path, seal)
    return Gallery(
        stamp.space_id, people, found.rows, stamp.dim, found.valid_until_s, people.picture
    )


def index_folder(path: Path) -> Path:
    """Return where the search files of a store are."""
    return path.with_name(f"{path.name}-index")


class StoredPerson:
    """One person of a snapshot; the larger values are read from the store when they are wanted."""

    __slots__ = ("_path", "_seal", "id", "name")

    def __init__(self, id: str, name: str, path: Path, seal: Seal) -> None:
        self.id, self.name = id, name
        self._path, self._seal = path, seal

    @property
    def embedding(self) -> Float32:
        """The mean direction (d,) of all samples; zeros when the person was removed meanwhile."""
        query = "SELECT number FROM persons WHERE id = ?"
        with reading(self._path) as connection:
            row = connection.execute(query, [self.id]).fetchone()
            samples = list(read_samples(connection, self._seal, row[0], self.id)) if row else []
            dim = int(get_meta(connection, "dim") or b"0")
        if samples:
            return mean_direction([sample.embedding for sample in samples])
        return np.zeros(dim, np.float32)

    @property
    def thumbnail(self) -> bytes:
        """The best photo's crop, PNG; b"" without one, or when the person was removed meanwhile."""
        with reading(self._path) as connection:
            return read_thumbnail(connection, self._seal, self.id)


class StoredPeople(Sequence[Listed]):
    """The people of a snapshot, in the order of enrolment."""

    def __init__(self, labels: Labels, path: Path, seal: Seal) -> None:
        self._labels, self._path, self._seal = labels, path, seal

    def __len__(self) -> int:
        return len(self._labels)

    def picture(self, person_id: str) -> bytes:
        """Return the best photo's crop of anybody, PNG; b"" without one."""
        return StoredPerson(person_id, "", self._path, self._seal).thumbnail

    @overload
    def __getitem__(self, position: int) -> StoredPerson: ...
    @overload
    def __getitem__(self, position: slice) -> list[StoredPerson]: ...
    def __getitem__(self, position: int | slice) -> StoredPerson | list[StoredPerson]:
        """Return one person, or several."""
        if isinstance(position, slice):
            return [self[i] for i in range(*position.indices(len(self)))]
        if not -len(self) <= position < len(self):
            raise IndexError(position)
        return StoredPerson(*self._labels.at(position % len(self)), self._path, self._seal)


def _stamp(connection: sqlite3.Connection) -> Stamp:
    return Stamp(
        get_meta(connection, "uid").hex(),
        int(get_meta(connection, "generation")),
        get_meta(connection, "space_id").decode(),
        int(get_meta(connection, "dim") or b"0"),
    )


def _labels(connection: sqlite3.Connection, seal: Seal, now_s: float) -> Labels:
    query = "SELECT id, name FROM persons WHERE expires_s IS NULL OR expires_s > ? ORDER BY number"
    texts = bytearray()
    ends = []
    for person_id, name in connection.execute(query, [now_s]):
        for text in (person_id.encode(), seal.unseal(name, f"{person_id}/name")):
            texts += text
            ends.append(len(texts))
    return Labels(np.frombuffer(bytes(texts), np.uint8), np.array(ends, np.int64))


def _rows(connection: sqlite3.Connection, seal: Seal, now_s: float) -> tuple[Rows, ...]:
    found = []
    for kind in KINDS:
        owners, vectors = [], []
        for owner, vector in _means(read_vectors(connection, seal, kind, now_s)):
            owners.append(owner)
            vectors.append(vector)
        if owners:
            index = FlatIndex(np.stack(vectors))
            found.append(Rows(kind, index, np.array(owners, np.intp)))
    return tuple(found)


def _engine_rows(
    connection: sqlite3.Connection, seal: Seal, now_s: float, stamp: Stamp, engine: str
) -> tuple[Rows, ...]:
    if seal.name != PlainSeal.name:
        raise ConfigError("gallery.engine: an encrypted gallery is searched on this machine only")
    qdrant = Qdrant(engine)
    found = []
    for kind in KINDS:
        owners = read_owners(connection, kind, now_s)
        if len(owners):
            means = _means(read_vectors(connection, seal, kind, now_s))
            vectors = (vector for _, vector in means)
            found.append(Rows(kind, qdrant.index(stamp, kind, len(owners), vectors), owners))
    return tuple(found)


def _means(vectors: Iterator[tuple[int, Float32]]) -> Iterator[tuple[int, Float32]]:
    """Yield each owner once, with the normalised mean of their vectors, which follow each other."""
    current, held = -1, list[Float32]()
    for owner, vector in vectors:
        if owner != current and held:
            yield current, mean_direction(held)
            held = []
        current = owner
        held.append(vector)
    if held:
        yield current, mean_direction(held)


def _valid_until(connection: sqlite3.Connection, now_s: float) -> float:
    """Return when the next consent expires, seconds since 1970; infinity: none does."""
    query = "SELECT min(expires_s) FROM persons WHERE expires_s > ?"
    (soonest,) = connection.execute(query, [now_s]).fetchone()
    return float("inf") if soonest is None else float(soonest)
