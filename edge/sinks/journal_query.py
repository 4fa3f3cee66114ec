"""What the journal holds, for the page, `earsight replay` and whoever else asks."""

from __future__ import annotations

import json
import logging
import sqlite3
import zlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import StorageError
from ..events import Kind
from ..sqlite import storage_errors
from .journal_file import open_for_reading
from .journal_folder import DATABASE, portrait_path, sound_path


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the journal."""

    id: int  # rising, never used twice
    time_s: float  # seconds since 1970, UTC: when it happened, as far as is known by now
    time_sure: bool  # False when the clock was never set while the board ran
    body: Mapping[str, Any]  # as `Event.as_json`
    portrait: Path | None  # PNG, 0600
    sound: Path | None = None  # WAV, 0600, when it was kept


def read_events(
    folder: Path,
    since: datetime | None = None,
    until: datetime | None = None,
    kind: Kind | None = None,
    limit: int = 100,
) -> tuple[Entry, ...]:
    """Return the newest events of a journal, newest first, while a daemon may be writing it.

    Raises:
        StorageError: there is no journal, or it cannot be read.
    """
    with closing(open_for_reading(folder)) as connection:
        return select_events(connection, folder, since, until, kind, limit)


def select_events(
    connection: sqlite3.Connection,
    folder: Path,
    since: datetime | None,
    until: datetime | None,
    kind: Kind | None,
    limit: int,
) -> tuple[Entry, ...]:
    """Return the newest events within `since <= time < until`, newest first.

    A row whose checksum is wrong (a worn card) is left out, and the log says how many were.

    Args:
        connection: to the journal.
        folder: where the journal is.
        since: with a time zone; None for the first.
        until: with a time zone; None for the last.
        kind: only events of this kind.
        limit: the largest number of events; 0 for all.

    Raises:
        StorageError: the database cannot be read.
    """
    where, values = time_clause(since, until)
    if kind is not None:
        where, values = f"{where} AND kind = ?", [*values, kind]
    query = (
        "SELECT id, time_s, time_sure, portrait_bytes, crc, body FROM events "
        f"WHERE {where} ORDER BY id DESC LIMIT ?"
    )
    with storage_errors(folder / DATABASE):
        rows = connection.execute(query, [*values, limit or -1]).fetchall()
    entries = tuple(entry for row in rows if (entry := _entry(folder, row)) is not None)
    if damaged := len(rows) - len(entries):
        logging.getLogger(__name__).warning(
            "%s: %d events are damaged and left out", folder / DATABASE, damaged
        )
    return entries


def time_clause(since: datetime | None, until: datetime | None) -> tuple[str, list[Any]]:
    """Return an SQL condition for `since <= time < until` and its values."""
    bounds = [(">=", since), ("<", until)]
    given = [(sign, bound.timestamp()) for sign, bound in bounds if bound is not None]
    return " AND ".join(["1", *(f"time_s {sign} ?" for sign, _ in given)]), [s for _, s in given]


def pack(body: str) -> tuple[int, bytes]:
    """Return checksum and bytes of a body, as a row holds them."""
    packed = body.encode()
    return zlib.crc32(packed), packed


def unpack(crc: int, packed: bytes) -> dict[str, Any]:
    """Return a row's body.

    Raises:
        StorageError: the checksum is wrong.
    """
    if not isinstance(packed, bytes) or zlib.crc32(packed) != crc:
        raise StorageError("an event of the journal is damaged")
    body: dict[str, Any] = json.loads(packed)
    return body


def _entry(folder: Path, row: tuple[int, float, int, int, int, bytes]) -> Entry | None:
    event_id, time_s, time_sure, portrait_bytes, crc, packed = row
    try:
        body = unpack(crc, packed)
    except StorageError:
        return None
    beside = portrait_path(folder, event_id), sound_path(folder, event_id)
    portrait, sound = (path if portrait_bytes and path.exists() else None for path in beside)
    return Entry(event_id, time_s, bool(time_sure), body, portrait, sound)
