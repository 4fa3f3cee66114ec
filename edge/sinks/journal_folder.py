"""Where the journal's files are, and how a damaged one is moved out of the way.

::

    folder/ 0700
      journal.db, journal.db-wal, journal.db-shm    0600, SQLite in WAL mode
      portraits/17.png                              0600, of event 17
      sounds/17.wav                                 0600, only with privacy.keep_audio
      set-aside-20260131T120000Z/                   a journal that was found corrupt, whole
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from pathlib import Path

from ..errors import StorageError

DATABASE = "journal.db"
PORTRAITS, SOUNDS = "portraits", "sounds"
BESIDE = (PORTRAITS, SOUNDS)  # folders of files that belong to events
_SET_ASIDE = "set-aside-"


def make_folder(folder: Path) -> None:
    """Make the folder for this user alone; set aside what is left of a journal without a database.

    SQLite would ignore or delete a stray log, and a new event would take an old portrait's name.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_beside(folder)
        alone = not (folder / DATABASE).exists()
        left = any(path for name in BESIDE for path in (folder / name).iterdir())
        if alone and (left or _logs(folder)[0].exists()):
            set_aside(folder, "its database is missing")
    except OSError as exc:
        if isinstance(exc, StorageError):
            raise
        raise StorageError(f"{folder}: cannot be made ({exc.strerror}); check the path") from exc


def portrait_path(folder: Path, event_id: int) -> Path:
    """Return where the portrait of an event is."""
    return folder / PORTRAITS / f"{event_id}.png"


def sound_path(folder: Path, event_id: int) -> Path:
    """Return where the sound of an event is, if it was kept."""
    return folder / SOUNDS / f"{event_id}.wav"


def set_aside(folder: Path, reason: str) -> None:
    """Move a closed journal and its files into a folder of their own, losing nothing.

    Raises:
        StorageError: the disk does not let them be moved.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    try:
        target = folder / f"{_SET_ASIDE}{stamp}"
        while target.exists():
            target = target.with_name(f"{target.name}x")
        target.mkdir(mode=0o700)
        for path in (folder / DATABASE, *_logs(folder), *(folder / name for name in BESIDE)):
            if path.exists():
                path.rename(target / path.name)
        _make_beside(folder)
        sync_folder(folder)
    except OSError as exc:
        raise StorageError(
            f"{folder}: the journal cannot be set aside ({exc.strerror}); check the disk"
        ) from exc
    logging.getLogger(__name__).warning(
        "%s: cannot be used: %s; it was moved whole to %s and a new one begun",
        folder / DATABASE,
        reason,
        target,
    )


def list_set_aside(folder: Path) -> list[Path]:
    """Return the folders of journals that were set aside, oldest first."""
    return sorted(folder.glob(f"{_SET_ASIDE}*"))


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _make_beside(folder: Path) -> None:
    for name in BESIDE:
        (folder / name).mkdir(mode=0o700, exist_ok=True)


def _logs(folder: Path) -> tuple[Path, Path]:
    """Return what SQLite keeps beside the database: the log and the log's index."""
    return folder / f"{DATABASE}-wal", folder / f"{DATABASE}-shm"
