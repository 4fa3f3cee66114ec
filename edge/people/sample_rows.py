"""Samples to and from their table: sealed, and with a checksum over what is stored."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from ..errors import StorageError
from ..types import Float32
from .encryption import Seal
from .person import KINDS, UNIT_TOLERANCE, Kind, Sample

Owners = npt.NDArray[np.intp]

_VALID = """
    WITH valid AS (
        SELECT number, id, row_number() OVER (ORDER BY number) - 1 AS position
        FROM persons WHERE expires_s IS NULL OR expires_s > ?
    )
"""


def insert_samples(
    connection: sqlite3.Connection, seal: Seal, person: int, id: str, samples: Iterable[Sample]
) -> int:
    """Store samples of a person inside a transaction; those they have already are left out.

    Returns:
        How many were stored.
    """
    stored = 0
    for sample in samples:
        index = seal.index(sample.digest)
        query = "SELECT 1 FROM samples WHERE digest_index = ? AND person = ?"
        if connection.execute(query, [index, person]).fetchone():
            continue
        values = (
            seal.seal(pack_vector(sample.embedding), f"{id}/embedding"),
            seal.seal(sample.crop, f"{id}/crop"),
            seal.seal(bytes.fromhex(sample.digest), f"{id}/digest"),
        )
        connection.execute(
            "INSERT INTO samples (person, kind, embedding, crop, digest, digest_index, quality, "
            "crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [person, sample.kind, *values, index, sample.quality, checksum(*values)],
        )
        stored += 1
    return stored


def read_samples(
    connection: sqlite3.Connection, seal: Seal, person: int, id: str
) -> Iterator[Sample]:
    """Yield a person's samples, oldest first.

    Raises:
        StorageError: one is damaged.
    """
    query = (
        "SELECT kind, embedding, crop, digest, quality, crc FROM samples "
        "WHERE person = ? ORDER BY number"
    )
    for kind, embedding, crop, digest, quality, crc in connection.execute(query, [person]):
        if checksum(embedding, crop, digest) != crc or kind not in KINDS:
            raise StorageError(
                f"a sample of {id} is damaged; remove and enroll them again, or restore a copy"
            )
        yield Sample(
            kind,
            unpack_vector(seal.unseal(embedding, f"{id}/embedding")),
            seal.unseal(crop, f"{id}/crop"),
            seal.unseal(digest, f"{id}/digest").hex(),
            quality,
        )


def read_owners(connection: sqlite3.Connection, kind: Kind, now_s: float) -> Owners:
    """Return whose samples `read_vectors` yields: (n,) positions, each once, rising."""
    query = f"{_VALID} SELECT DISTINCT position FROM valid JOIN samples ON person = valid.number "
    rows = connection.execute(f"{query} WHERE kind = ? ORDER BY position", [now_s, kind])
    return np.fromiter((position for (position,) in rows), np.intp)


def read_vectors(
    connection: sqlite3.Connection, seal: Seal, kind: Kind, now_s: float
) -> Iterator[tuple[int, Float32]]:
    """Yield the embeddings of one kind, person by person in the order of enrolment.

    Those whose consent has expired at `now_s` are left out.

    Returns:
        Pairs of the person's position among those who are left, and (d,) vectors.

    Raises:
        StorageError: one is damaged.
    """
    query = (
        f"{_VALID} SELECT position, id, embedding FROM valid JOIN samples ON person = valid.number "
        "WHERE kind = ? ORDER BY position, samples.number"
    )
    dim = 0
    for position, id, stored in connection.execute(query, [now_s, kind]):
        vector = unpack_vector(seal.unseal(stored, f"{id}/embedding"))
        dim = dim or vector.size
        if vector.size != dim or not abs(float(vector @ vector) - 1.0) < 4 * UNIT_TOLERANCE:
            raise StorageError(
                f"a sample of {id} is damaged; remove and enroll them again, or restore a copy"
            )
        yield int(position), vector


def read_thumbnail(connection: sqlite3.Connection, seal: Seal, id: str) -> bytes:
    """Return the crop of a person's best photo, PNG; empty for nobody, or a voice only."""
    query = (
        "SELECT crop FROM samples JOIN persons ON persons.number = person "
        "WHERE id = ? AND kind = 'photo' ORDER BY quality DESC, samples.number LIMIT 1"
    )
    row = connection.execute(query, [id]).fetchone()
    return seal.unseal(row[0], f"{id}/crop") if row else b""


def pack_vector(vector: Float32) -> bytes:
    """Return a vector as little-endian float32."""
    return vector.astype("<f4").tobytes()


def unpack_vector(packed: bytes) -> Float32:
    """Return what `pack_vector` packed."""
    return np.frombuffer(packed, "<f4").astype(np.float32)


def checksum(*values: bytes) -> int:
    """Return the CRC-32 of values as they are stored."""
    crc = 0
    for value in values:
        crc = zlib.crc32(value, crc)
    return crc
