"""What leaves the journal by itself: events that are too old or too many, stray files."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path

from ..sqlite import transaction
from .journal_folder import BESIDE, list_set_aside, portrait_path, sound_path

_ROOM = 0.9  # of the size limit is left filled, so that not every event starts a deletion


def tidy(connection: sqlite3.Connection, folder: Path, keep_s: float, max_bytes: float) -> None:
    """Remove what is older than `keep_s`, then the oldest until the rest fits into `max_bytes`.

    Journals that were set aside count as older than any event. `keep_s` 0 keeps every age.
    """
    if keep_s:
        _remove_older(connection, folder, time.time() - keep_s)
    copies = list_set_aside(folder)
    if _size(connection) + sum(map(_tree_size, copies)) > max_bytes:
        while copies and _size(connection) + sum(map(_tree_size, copies)) > _ROOM * max_bytes:
            shutil.rmtree(copies.pop(0))
        while _size(connection) > _ROOM * max_bytes and _remove_oldest_tenth(connection, folder):
            pass
    connection.execute("PRAGMA incremental_vacuum").fetchall()


def remove_rows(connection: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Remove events inside a transaction; `remove_files` follows when it is committed.

    A crash in between leaves stray files, which go at the next start, and never an event that has
    lost its portrait.
    """
    connection.executemany("DELETE FROM events WHERE id = ?", [(event_id,) for event_id in ids])


def remove_files(folder: Path, ids: Iterable[int]) -> None:
    """Remove portraits and sounds of events that are gone."""
    for event_id in ids:
        portrait_path(folder, event_id).unlink(missing_ok=True)
        sound_path(folder, event_id).unlink(missing_ok=True)


def remove_stray_files(connection: sqlite3.Connection, folder: Path) -> None:
    """Remove files whose event was never committed: the writer was killed in between."""
    with transaction(connection):  # a writer in another process has its files before its row
        known = connection.execute("SELECT id FROM events WHERE portrait_bytes > 0")
        ids = {str(event_id) for (event_id,) in known}
        for path in (path for name in BESIDE for path in (folder / name).iterdir()):
            if path.stem not in ids:
                path.unlink()


def _remove_older(connection: sqlite3.Connection, folder: Path, oldest_s: float) -> None:
    _remove(connection, folder, "SELECT id FROM events WHERE time_s < ?", oldest_s)
    for copy in list_set_aside(folder):
        if copy.stat().st_mtime < oldest_s:
            shutil.rmtree(copy)


def _remove_oldest_tenth(connection: sqlite3.Connection, folder: Path) -> bool:
    """Return whether there was anything to remove."""
    (count,) = connection.execute("SELECT count(*) FROM events").fetchone()
    _remove(connection, folder, "SELECT id FROM events ORDER BY id LIMIT ?", 1 + count // 10)
    return bool(count)


def _remove(connection: sqlite3.Connection, folder: Path, query: str, value: float) -> None:
    with transaction(connection):
        ids = [event_id for (event_id,) in connection.execute(query, (value,)).fetchall()]
        remove_rows(connection, ids)
    remove_files(folder, ids)


def _size(connection: sqlite3.Connection) -> int:
    """Return the bytes that events and their files fill; freed pages do not count."""
    pragmas = ("page_count", "freelist_count", "page_size")
    pages, free, size = (connection.execute(f"PRAGMA {p}").fetchone()[0] for p in pragmas)
    total = connection.execute("SELECT total(portrait_bytes) FROM events").fetchone()[0]
    return int((pages - free) * size + total)


def _tree_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
