"""The journal's database file: opened sound, or set aside and begun anew.

::

    folder/ 0700
      journal.db, journal.db-wal, journal.db-shm    0600, SQLite in WAL mode
      portraits/17.png                              0600, of event 17
      set-aside-20260131T120000Z/                   a journal that was found corrupt, whole

`synchronous=FULL`: in WAL mode NORMAL already survives `kill -9`, because committed pages are in
the kernel; but a power cut may take the commits since the last checkpoint back, after they were
announced. FULL syncs the log at each commit, some 10 ms on an SD card, in a thread of its own
(https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ..errors import StorageError

DATABASE = "journal.db"
PORTRAITS = "portraits"
SET_ASIDE = "set-aside-"
SCHEMA_VERSION = 1
_APPLICATION_ID = 0x45617273  # "Ears"
_BUSY_MS = 5000  # another process (`earsight forget`) may hold the lock this long
_WAL_LIMIT = 4 << 20  # bytes the log file is cut back to after a burst
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_SCHEMA = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: portraits are named after it
    kind TEXT NOT NULL,
    time_s REAL NOT NULL,       -- seconds since 1970, UTC; put right when the clock is set
    time_sure INTEGER NOT NULL, -- 0 while the clock was not set
    boot_id TEXT NOT NULL,
    monotonic_s REAL NOT NULL,
    portrait_bytes INTEGER NOT NULL,  -- 0 without one
    crc INTEGER NOT NULL,       -- CRC-32 of body
    body BLOB NOT NULL          -- the event as JSON, UTF-8
) STRICT;
CREATE INDEX events_time ON events (time_s);
CREATE INDEX events_unsure ON events (boot_id) WHERE time_sure = 0;
"""


def open_database(folder: Path) -> sqlite3.Connection:
    """Open the journal of a folder for writing, making whatever is missing.

    A corrupt one (`PRAGMA quick_check`) is moved whole into `set-aside-TIME/` with one line in the
    log, and a new one begun. The connection may be used by any one thread at a time.

    Raises:
        StorageError: the folder cannot be used, or the file is not a journal this version knows.
    """
    _make_private(folder)
    database = folder / DATABASE
    if not database.exists() and any(path.exists() for path in _parts(folder)):
        _set_aside(folder, "its database is missing")
    try:
        return _open_sound(folder)
    except sqlite3.DatabaseError as exc:
        if not is_corrupt(exc):
            raise StorageError(f"{database}: {exc}; check the disk and the folder") from exc
        _set_aside(folder, str(exc))
    with storage_errors(database):
        return _open_sound(folder)


def open_for_reading(folder: Path) -> sqlite3.Connection:
    """Open the journal of a folder, also while a daemon writes to it.

    Raises:
        StorageError: there is none, or it is not a journal this version knows.
    """
    database = folder / DATABASE
    if not database.is_file():
        raise StorageError(f"{folder}: holds no journal; check [journal] folder")
    with storage_errors(database):
        connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
        try:
            _check_version(connection, database)
        except BaseException:
            connection.close()
            raise
        return connection


@contextlib.contextmanager
def storage_errors(database: Path) -> Iterator[None]:
    """Turn what SQLite and the file system raise into one line that says whose fault it is."""
    try:
        yield
    except sqlite3.Error as exc:
        if _code(exc) == sqlite3.SQLITE_FULL:
            raise StorageError(f"{database}: the disk is full; free some space") from exc
        raise StorageError(f"{database}: {exc}; check the disk and the folder") from exc


def is_corrupt(exc: sqlite3.Error) -> bool:
    """Tell whether the file itself is damaged, not the disk, a lock or the space."""
    return _code(exc) in _CORRUPT


def list_set_aside(folder: Path) -> list[Path]:
    """Return the folders of journals that were set aside, oldest first."""
    return sorted(folder.glob(f"{SET_ASIDE}*"))


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _code(exc: sqlite3.Error) -> int:
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF  # the low byte of an extended code


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / PORTRAITS).mkdir(mode=0o700, exist_ok=True)
    except OSError as exc:
        raise StorageError(f"{folder}: cannot be made ({exc.strerror}); check the path") from exc


def _parts(folder: Path) -> tuple[Path, ...]:
    """Return what belongs to a database besides it; SQLite would ignore or delete a stray log."""
    return tuple(folder / f"{DATABASE}{suffix}" for suffix in ("-wal", "-shm"))


def _open_sound(folder: Path) -> sqlite3.Connection:
    """Open and check the database; a damaged one raises DatabaseError with a corrupt code."""
    database = folder / DATABASE
    with contextlib.suppress(FileExistsError):  # SQLite gives log and index the same mode
        os.close(os.open(database, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(
        database, timeout=_BUSY_MS / 1e3, isolation_level=None, check_same_thread=False
    )
    try:
        _check_version(connection, database)
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # takes effect before any table
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")  # deleted rows are overwritten
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            damage = sqlite3.DatabaseError(str(found).replace("\n", " "))
            damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damage
        if connection.execute("PRAGMA user_version").fetchone() == (0,):
            connection.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id = {_APPLICATION_ID};"
                f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
        return connection
    except BaseException:
        connection.close()
        raise


def _check_version(connection: sqlite3.Connection, database: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != _APPLICATION_ID and (tables or version):
        raise StorageError(f"{database}: is not a journal of earsight; choose another folder")
    if version > SCHEMA_VERSION:
        raise StorageError(
            f"{database}: was made by a newer earsight (schema {version}, this one knows "
            f"{SCHEMA_VERSION}); update earsight or move the folder away"
        )


def _set_aside(folder: Path, reason: str) -> None:
    """Move a damaged journal and its portraits into a folder of their own, losing nothing."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    try:
        target = folder / f"{SET_ASIDE}{stamp}"
        while target.exists():
            target = target.with_name(f"{target.name}x")
        target.mkdir(mode=0o700)
        for path in (folder / DATABASE, *_parts(folder), folder / PORTRAITS):
            if path.exists():
                path.rename(target / path.name)
        (folder / PORTRAITS).mkdir(mode=0o700)
        sync_folder(folder)
    except OSError as exc:
        raise StorageError(
            f"{folder}: the damaged journal cannot be set aside ({exc.strerror}); check the disk"
        ) from exc
    logging.getLogger(__name__).warning(
        "%s: the journal is damaged (%s); it was moved whole to %s and a new one begun",
        folder / DATABASE,
        reason,
        target,
    )
