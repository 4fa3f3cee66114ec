"""Embeddings of the voices heard, beside the events of a journal; only kept when asked for.

An embedding is biometric: it tells one speaker from another. `[journal] embeddings` is off by
default. What is kept goes with its event, whichever way that goes: a trigger sees to it.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import StorageError
from ..sqlite import storage_errors
from ..types import Float32
from .journal_file import open_for_reading
from .journal_folder import DATABASE
from .journal_query import unpack


@dataclass(frozen=True, slots=True)
class HeardVoice:
    """The voice of one event."""

    event: int
    time_s: float  # seconds since 1970, UTC
    name: str | None  # who it was decided to be, None for nobody
    embedding: Float32  # (d,), unit length


def insert_voice(
    connection: sqlite3.Connection, event: int, space_id: str, embedding: Float32
) -> None:
    """Keep the voice of an event, inside the transaction that writes the event."""
    connection.execute(
        "INSERT INTO voices (event, space_id, embedding) VALUES (?, ?, ?)",
        (event, space_id, np.asarray(embedding, "<f4").tobytes()),
    )


def read_voices(folder: Path, space_id: str) -> tuple[HeardVoice, ...]:
    """Return the voices that a journal keeps of an embedding space, oldest first.

    Raises:
        StorageError: there is no journal, or it cannot be read.
    """
    database = folder / DATABASE
    with closing(open_for_reading(folder)) as connection, storage_errors(database):
        kept = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'voices'").fetchone()
        if kept is None:  # a journal that no present version has written to
            return ()
        rows = connection.execute(
            "SELECT id, time_s, crc, body, embedding FROM events JOIN voices ON event = id "
            "WHERE space_id = ? ORDER BY id",
            [space_id],
        ).fetchall()
    return tuple(
        HeardVoice(event, time_s, _name(crc, body), np.frombuffer(embedding, "<f4"))
        for event, time_s, crc, body, embedding in rows
    )


def _name(crc: int, packed: bytes) -> str | None:
    """Return whom an event names; a damaged one, or one of nobody, names nobody."""
    try:
        decision = unpack(crc, packed).get("decision") or {}
    except StorageError:
        return None
    name = decision.get("name")
    return name if isinstance(name, str) else None
