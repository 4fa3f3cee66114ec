"""The journal's database file: opened sound, or set aside and begun anew.

`synchronous=FULL`: in WAL mode NORMAL already survives `kill -9`, because committed pages are in
the kernel; but a power cut may take the commits since the last checkpoint back, after they were
announced. FULL syncs the log at each commit, some 10 ms on an SD card, in a thread of its own
(https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from ..errors import StorageError
from ..sqlite import error_code, storage_errors, transaction
from .journal_folder import DATABASE, make_folder, set_aside

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x45617273  # "Ears"
_BUSY_MS = 5000  # another process (`earsight forget`) may hold the lock this long
_CACHE_KIB = 256  # of memory; by itself SQLite would fill 2 MB as the journal grows
_WAL_LIMIT = 4 << 20  # bytes the log file is cut back to after a burst
_SURROUNDINGS = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
_SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: files are named after it
        kind TEXT NOT NULL,
        time_s REAL NOT NULL,       -- seconds since 1970, UTC, put right when the clock is set
        time_sure INTEGER NOT NULL, -- 0 while the clock was not set
        boot_id TEXT NOT NULL,
        monotonic_s REAL NOT NULL,
        portrait_bytes INTEGER NOT NULL,  -- of the files beside it, a kept sound too
        crc INTEGER NOT NULL,       -- CRC-32 of body
        body BLOB NOT NULL          -- the event as JSON, UTF-8
    ) STRICT
    """,
    """
    CREATE TABLE IF NOT EXISTS voices (  -- only with [journal] embeddings
        event INTEGER PRIMARY KEY,
        space_id TEXT NOT NULL,     -- of the bundle that made it
        embedding BLOB NOT NULL     -- float32, little endian, unit length
    ) STRICT
    """,
    """
    CREATE TRIGGER IF NOT EXISTS voices_go AFTER DELETE ON events BEGIN
        DELETE FROM voices WHERE event = old.id;
    END
    """,
    "CREATE INDEX IF NOT EXISTS events_time ON events (time_s)",
    "CREATE INDEX IF NOT EXISTS events_unsure ON events (boot_id) WHERE time_sure = 0",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


def open_database(folder: Path) -> sqlite3.Connection:
    """Open the journal of a folder for writing, making whatever is missing.

    One that is corrupt (`PRAGMA quick_check`), foreign or of a newer earsight is moved whole into
    `set-aside-TIME/` with one line in the log, and a new one begun: an update rolled back in the
    field must not end in a daemon that refuses to start. The connection may be used by any one
    thread at a time.

    Raises:
        StorageError: the folder cannot be used.
    """
    make_folder(folder)
    database = folder / DATABASE
    try:
        return _open_sound(folder)
    except UnicodeDecodeError:  # Python fails on SQLite's message, which quotes the damage
        set_aside(folder, "its tables are unreadable")
    except sqlite3.DatabaseError as exc:
        if _is_surroundings(exc, database):
            raise StorageError(f"{database}: {exc}; check the disk and the folder") from exc
        set_aside(folder, str(exc))
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
            if reason := _strangeness(connection):
                raise StorageError(f"{database}: {reason}; choose another folder or update")
        except BaseException:
            connection.close()
            raise
        return connection


def _open_sound(folder: Path) -> sqlite3.Connection:
    """Open and check the database; a damaged one raises DatabaseError with a corrupt code."""
    database = folder / DATABASE
    with contextlib.suppress(FileExistsError):  # SQLite gives log and index the same mode
        os.close(os.open(database, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(
        database, timeout=_BUSY_MS / 1e3, isolation_level=None, check_same_thread=False
    )
    try:
        if reason := _strangeness(connection):
            raise _damage(reason)
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":  # before anything is written
            raise _damage(" ".join(str(found).split()))
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # heeded before the first table
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA secure_delete = ON")  # deleted rows are overwritten
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
        with transaction(connection):  # also finds out now whether the file can be written
            for statement in _SCHEMA:
                connection.execute(statement)
        with closing(sqlite3.connect(":memory:")) as model:
            model.execute(_SCHEMA[0])
            if _columns(connection) != _columns(model):
                raise _damage("its table is not as it was made")
        return connection
    except BaseException:
        connection.close()
        raise


def _columns(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return connection.execute("PRAGMA table_info(events)").fetchall()


def _strangeness(connection: sqlite3.Connection) -> str:
    """Return why a database is not a journal that this version knows, "" for one that is."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != _APPLICATION_ID and (tables or version):
        return "it is not a journal of earsight"
    if version > SCHEMA_VERSION:
        return f"it is of a newer earsight (schema {version}, this one knows {SCHEMA_VERSION})"
    return ""


def _is_surroundings(exc: sqlite3.Error, database: Path) -> bool:
    """Tell whether opening failed by disk, lock, space or rights, not by what is in the file."""
    if error_code(exc) == sqlite3.SQLITE_READONLY:  # also what SQLite calls an unknown file format
        return not (os.access(database, os.W_OK) and os.access(database.parent, os.W_OK))
    return error_code(exc) in _SURROUNDINGS


def _damage(reason: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(reason)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
