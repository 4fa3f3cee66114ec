"""A copy of a store beside it, changed there, that takes its place when it is complete."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from ..errors import StorageError
from ..sqlite import storage_errors
from .database import get_meta
from .index_files import drop_snapshot
from .snapshot import index_folder
from .store import PeopleStore


def copy_database(source: sqlite3.Connection, target: Path) -> None:
    """Write a store as it is at this moment to a new file, mode 0600.

    Raises:
        StorageError: the disk refused.
    """
    remove_database(target)
    with storage_errors(target):
        target.touch(0o600)
        with closing(sqlite3.connect(target)) as copy:
            source.backup(copy)


def remove_database(path: Path) -> None:
    """Remove a file of SQLite and what belongs to it.

    Raises:
        StorageError: the disk refused.
    """
    with storage_errors(path):
        for suffix in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def take_place(store: PeopleStore, generation: bytes, new: Path, keep: Path | None) -> None:
    """Let a finished copy take a store's place and close the store.

    Args:
        store: as it was.
        generation: of the store when it was copied.
        new: the copy, closed.
        keep: where the store as it was stays; None for nowhere.

    Raises:
        StorageError: the store was changed meanwhile or is in use, or the disk refused.
    """
    connection, path = store.connection, store.path
    with storage_errors(new), closing(sqlite3.connect(new)) as copy:
        copy.execute("PRAGMA journal_mode = DELETE")  # all of it in one file
    with storage_errors(path):
        try:  # a log that stays would be taken for the new file's
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as exc:
            raise StorageError(
                f"{path}: another program has it open; stop it (sudo systemctl stop earsight) and "
                "run the same command again"
            ) from exc
        if get_meta(connection, "generation") != generation:
            raise StorageError(f"{path}: was changed meanwhile; run the same command again")
        if keep is not None:
            keep.unlink(missing_ok=True)
            try:
                os.link(path, keep)
            except OSError:  # a file system without links
                shutil.copy2(path, keep)
        new.replace(path)
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
    store.close()
    drop_snapshot(index_folder(path))
