"""What every SQLite file here shares: transactions, and errors that say whose fault it is."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from .errors import StorageError

CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


@contextlib.contextmanager
def storage_errors(database: Path) -> Iterator[None]:
    """Turn what SQLite and the file system raise into one line that says whose fault it is."""
    try:
        yield
    except sqlite3.Error as exc:
        if error_code(exc) == sqlite3.SQLITE_FULL:
            raise StorageError(f"{database}: the disk is full; free some space") from exc
        raise StorageError(f"{database}: {exc}; check the disk and the folder") from exc
    except OSError as exc:
        if isinstance(exc, StorageError):
            raise
        raise StorageError(f"{exc.filename or database}: {exc.strerror}; check the disk") from exc


@contextlib.contextmanager
def reading(database: Path) -> Iterator[sqlite3.Connection]:
    """Open an existing file for reading only, for the length of a block; any thread may.

    Raises:
        StorageError: it is missing or cannot be read.
    """
    with storage_errors(database):
        connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
        try:
            yield connection
        finally:
            connection.close()


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit all of a block or nothing of it; no other process writes meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite may have gone back by itself
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def is_corrupt(exc: sqlite3.Error) -> bool:
    """Tell whether the file itself is damaged, not the disk, a lock or the space."""
    return error_code(exc) in CORRUPT


def error_code(exc: sqlite3.Error) -> int:
    """Return SQLite's primary result code: the low byte of an extended one."""
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF
