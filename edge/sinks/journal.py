"""The journal: every event in SQLite, its files beside it, kept for a while and no longer.

An event is there once `write` returns, also after `kill -9` and a power cut (journal_file.py says
why), and gone once `forget` returns.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..errors import ConfigError, StorageError
from ..events import Event, Kind
from ..sqlite import is_corrupt, storage_errors, transaction
from ..storage import write_private
from .forgetting import Forgotten, forget
from .journal_file import open_database
from .journal_folder import DATABASE, portrait_path, set_aside, sound_path, sync_folder
from .journal_query import Entry, pack, select_events
from .journal_retention import remove_stray_files, tidy
from .journal_voices import insert_voice
from .jsonl import as_line

_MIB = 1 << 20
_DAY_S = 86400.0
_TIDY_EVERY = 100  # events between two looks at age and size
_TIDY_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """Section [journal]."""

    enabled: bool = True
    folder: str = "/var/lib/earsight/journal"
    keep_days: float = 30.0  # 0 keeps events until `max_mb`
    max_mb: float = 256.0  # of events and their files together; the oldest go first
    keep_free_mb: float = 64.0  # of the disk, left to the rest of the system
    embeddings: bool = False  # of voices, which are biometric: for `earsight find`

    def __post_init__(self) -> None:
        if min(self.keep_days, self.keep_free_mb) < 0 or self.max_mb < 1:
            raise ConfigError(
                "journal: keep_days and keep_free_mb must be 0 or more, max_mb 1 or more"
            )


class Journal:
    """A sink, and the answer to what was heard. Any thread may call it."""

    name = "journal"

    def __init__(self, settings: JournalSettings) -> None:
        """Open or begin the journal and remove what is too old.

        Raises:
            StorageError: the folder cannot be used.
        """
        self._settings = settings
        self._folder = Path(settings.folder)
        self._lock = threading.Lock()
        self._database = self._folder / DATABASE
        self._connection = open_database(self._folder)
        self._lost = False
        self._until_tidy = _TIDY_EVERY
        self._tidied_s = time.monotonic()
        with self._lock, storage_errors(self._database):
            self._tidy()
            remove_stray_files(self._connection, self._folder)

    def write(self, event: Event) -> None:
        """Commit an event with its portrait, and its sound if it has one, to disk.

        Raises:
            StorageError: not now: the disk is full or does not answer.
            ValueError: the event is not JSON.
        """
        body = as_line(event.as_json())
        with self._lock, storage_errors(self._database):
            self._check_space()
            try:
                self._tidy_in_time()
                self._insert(event, body)
            except sqlite3.DatabaseError as exc:
                if not (is_corrupt(exc) or self._lost):
                    raise
                self._begin_anew(str(exc))
                self._insert(event, body)

    def events(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        kind: Kind | None = None,
        limit: int = 100,
    ) -> tuple[Entry, ...]:
        """Return the newest events, newest first; see `select_events`.

        Raises:
            StorageError: the database cannot be read.
        """
        with self._lock:
            return select_events(self._connection, self._folder, since, until, kind, limit)

    def forget(
        self,
        person: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Forgotten:
        """Remove a person, a time range, or a person within one, so that no byte stays in a file.

        Events whose voice was taken to be the person's go with their files; where the person only
        ranked lower, their line goes. Then the database is rewritten and its log emptied.
        What a flash chip keeps in worn-out blocks is beyond any program.

        Args:
            person: the gallery's id for them, or a name that events have; None for everybody.
            since: first moment, with a time zone; None from the beginning.
            until: the moment after the last; None to the end.

        Raises:
            ConfigError: nothing to forget was named.
            StorageError: the disk or another reader is in the way; call again.
        """
        if person is None and since is None and until is None:
            raise ConfigError("forget: name a person, a beginning or an end")
        with self._lock, storage_errors(self._database):
            return forget(self._connection, self._folder, person, since, until)

    def close(self) -> None:
        """Empty the log into the database and close it."""
        with self._lock, storage_errors(self._database):
            self._connection.close()

    def _check_space(self) -> None:
        free_mb = shutil.disk_usage(self._folder).free / _MIB
        if free_mb < self._settings.keep_free_mb:
            raise StorageError(
                f"{self._folder}: {free_mb:.0f} MB of the disk are free, journal.keep_free_mb is "
                f"{self._settings.keep_free_mb:g}; free some space"
            )

    def _insert(self, event: Event, body: str) -> None:
        stamp = event.stamp
        time_s = datetime.fromisoformat(stamp.wall).timestamp()
        crc, packed = pack(body)
        beside = {portrait_path: event.portrait, sound_path: event.sound}
        written: list[Path] = []
        try:
            with transaction(self._connection):
                row = self._connection.execute(
                    "INSERT INTO events (kind, time_s, time_sure, boot_id, monotonic_s, "
                    "portrait_bytes, crc, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        event.kind,
                        time_s,
                        stamp.clock_synced,
                        stamp.boot_id,
                        stamp.monotonic_s,
                        sum(len(content or b"") for content in beside.values()),
                        crc,
                        packed,
                    ),
                ).lastrowid
                if stamp.clock_synced:  # gives earlier events of this boot their true time
                    self._connection.execute(
                        "UPDATE events SET time_s = ? + monotonic_s, time_sure = 1 "
                        "WHERE boot_id = ? AND time_sure = 0",
                        (time_s - stamp.monotonic_s, stamp.boot_id),
                    )
                if self._settings.embeddings and event.voice is not None:
                    voice = event.voice
                    insert_voice(self._connection, row or 0, voice.space_id, voice.vector)
                for place, content in beside.items():
                    if content:
                        written.append(place(self._folder, row or 0))
                        write_private(written[-1], content)
                        sync_folder(written[-1].parent)
        except BaseException:
            for path in written:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            raise

    def _begin_anew(self, reason: str) -> None:
        """Set a journal aside that turned out to be corrupt while it was in use."""
        self._connection.close()
        if not self._lost:
            set_aside(self._folder, reason)
        self._lost = True  # until the new one is open: the disk may be in the way
        self._connection = open_database(self._folder)
        self._lost = False

    def _tidy_in_time(self) -> None:
        self._until_tidy -= 1
        if self._until_tidy <= 0 or time.monotonic() - self._tidied_s > _TIDY_EVERY_S:
            self._tidy()

    def _tidy(self) -> None:
        # before the work, so that a failure does not come back with each event
        self._until_tidy, self._tidied_s = _TIDY_EVERY, time.monotonic()
        settings = self._settings
        keep_s, max_bytes = settings.keep_days * _DAY_S, settings.max_mb * _MIB
        tidy(self._connection, self._folder, keep_s, max_bytes)
