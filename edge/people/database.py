"""The people's SQLite file: its tables, and opening it sound, private and under the right key.

A damaged file is refused, never begun anew: unlike what was heard, people cannot be heard again.
Each change raises `generation`, by which a search index beside the file knows that it is stale.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from pathlib import Path

from ..errors import BundleError, ConfigError, StorageError
from ..sqlite import is_corrupt, storage_errors, transaction
from .encryption import KeySeal, PlainSeal, Seal

SCHEMA_VERSION = 1
MAGIC = b"SQLite format 3\0"
_APPLICATION_ID = 0x45617250  # "EarP"
_BUSY_MS = 5000  # another process may hold the lock this long
_CHECKED = 256 << 20  # bytes up to which the whole file is checked at each opening
KEY_CHECK = b"the key is right"
_SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
    """
    CREATE TABLE persons (
        number INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice
        id TEXT NOT NULL UNIQUE,
        name BLOB NOT NULL,             -- sealed, UTF-8
        name_index BLOB NOT NULL UNIQUE,
        consent BLOB NOT NULL,          -- sealed JSON; empty: none was recorded
        expires_s REAL,                 -- of the consent, seconds since 1970; NULL: never
        erase_s REAL,                   -- when the person is erased
        added_s REAL NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE samples (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        person INTEGER NOT NULL REFERENCES persons ON DELETE CASCADE,
        kind TEXT NOT NULL,             -- photo, voice
        embedding BLOB NOT NULL,        -- sealed, float32 little endian
        crop BLOB NOT NULL,             -- sealed PNG; of a voice the empty value
        digest BLOB NOT NULL,           -- sealed, 32 bytes
        digest_index BLOB NOT NULL,
        quality REAL NOT NULL,
        crc INTEGER NOT NULL            -- CRC-32 of embedding, crop and digest as they are stored
    ) STRICT
    """,
    "CREATE INDEX samples_person ON samples (person, kind)",
    "CREATE INDEX samples_digest ON samples (digest_index)",
    """
    CREATE TABLE reviews (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        person INTEGER NOT NULL REFERENCES persons ON DELETE CASCADE,
        heard_s REAL NOT NULL,          -- seconds since 1970
        score REAL NOT NULL,
        probability REAL NOT NULL,
        embedding BLOB NOT NULL,        -- sealed, of the voice
        crc INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX reviews_person ON reviews (person)",
    """
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        time_s REAL NOT NULL,
        what TEXT NOT NULL,
        person TEXT NOT NULL,           -- id, never a name; "" when it is about no one person
        detail TEXT NOT NULL,           -- JSON
        chain BLOB NOT NULL             -- SHA-256 of the entry before and this one
    ) STRICT
    """,
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


def is_store(path: Path) -> bool:
    """Tell by its first bytes whether a file is a store at all."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def open_database(path: Path, space_id: str | None, key: bytes | None) -> sqlite3.Connection:
    """Open a store's file for reading and writing, making it when it is missing.

    Args:
        path: the file; made with mode 0600 when a `space_id` is given.
        space_id: what a new file is for, and what an old one must be for; None: any old one.
        key: of an encrypted file; encrypts a new one.

    Raises:
        BundleError: the file is of another embedding space.
        StorageError: it is missing, damaged, foreign or of a newer earsight.
        ConfigError: it is encrypted and there is no key.
    """
    if not path.exists() and space_id is None:
        raise StorageError(f"{path}: no such gallery; enroll somebody first, or check the name")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):  # SQLite gives log and index the same mode
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        connection = sqlite3.connect(
            path, timeout=_BUSY_MS / 1e3, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection, path, space_id, key)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as exc:
            connection.close()
            if isinstance(exc, sqlite3.DatabaseError) and not is_corrupt(exc):
                raise
            raise _damaged(path, "its tables are unreadable") from exc
        except BaseException:
            connection.close()
            raise
    return connection


def seal_of(connection: sqlite3.Connection, path: Path, key: bytes | None) -> Seal:
    """Return how this file's values are kept.

    Raises:
        ConfigError: it is encrypted and there is no key.
        StorageError: the key is another one.
    """
    name = get_meta(connection, "seal").decode()
    if name == PlainSeal.name:
        return PlainSeal()
    if name != KeySeal.name:
        raise StorageError(f"{path}: encrypted as '{name}', which this earsight does not know")
    if key is None:
        raise ConfigError(
            f"{path}: is encrypted; set gallery.key_file, or give the service its credential"
        )
    seal = KeySeal(key)
    try:
        seal.unseal(get_meta(connection, "key_check"), "key_check")
    except StorageError as exc:
        raise StorageError(
            f"{path}: encrypted under another key; give the one it was encrypted with"
        ) from exc
    return seal


def get_meta(connection: sqlite3.Connection, key: str) -> bytes:
    """Return one of the file's own properties."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", [key]).fetchone()
    return bytes(row[0]) if row else b""


def set_meta(connection: sqlite3.Connection, key: str, value: bytes) -> None:
    """Change one of the file's own properties."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [key, value])


def _prepare(
    connection: sqlite3.Connection, path: Path, space_id: str | None, key: bytes | None
) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != _APPLICATION_ID and (tables or version):
        raise StorageError(f"{path}: a database, but no gallery of earsight; choose another file")
    if version > SCHEMA_VERSION:
        raise StorageError(f"{path}: of a newer earsight (schema {version}); update this one")
    if path.stat().st_size <= _CHECKED:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise _damaged(path, " ".join(str(found).split()))
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",  # an enrolment survives a power cut once it is announced
        "secure_delete = ON",  # deleted rows are overwritten
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
    if not tables:
        if space_id is None:
            raise _damaged(path, "it is empty")
        _create(connection, space_id, key)
    own = get_meta(connection, "space_id").decode()
    if space_id is not None and own != space_id:
        raise BundleError(
            f"{path}: made in embedding space '{own}', the bundle's is '{space_id}'; "
            "run: earsight people migrate"
        )


def _create(connection: sqlite3.Connection, space_id: str, key: bytes | None) -> None:
    seal: Seal = PlainSeal() if key is None else KeySeal(key)
    with transaction(connection):
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables:  # another process was quicker
            return
        for statement in _SCHEMA:
            connection.execute(statement)
        set_meta(connection, "space_id", space_id.encode())
        set_meta(connection, "uid", secrets.token_bytes(16))
        set_meta(connection, "generation", b"0")
        set_meta(connection, "seal", seal.name.encode())
        set_meta(connection, "key_check", seal.seal(KEY_CHECK, "key_check"))


def _damaged(path: Path, reason: str) -> StorageError:
    return StorageError(
        f"{path}: damaged ({reason}); move it away and restore a copy: earsight people import FILE"
    )
