"""Enrolled people in one private SQLite file: photos' crops, embeddings, consent; voices likewise.

::

    NAME.gallery          0600, SQLite in WAL mode (`database` has the tables)
    NAME.gallery-index/   what a large gallery's search maps into memory; made anew when it is stale

`opening.open_store` opens one. Who may be matched is `gallery`; the rest of the package sees people
through that snapshot.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import ConfigError
from ..face.gallery import Gallery
from ..sqlite import storage_errors, transaction
from . import audit
from .consent import Consent
from .database import get_meta, seal_of, set_meta
from .index_files import drop_snapshot
from .person import PersonInfo, Sample, check_samples
from .person_rows import find_person, insert_person, read_people, rename_person, set_consent
from .sample_rows import insert_samples, read_samples, read_thumbnail
from .snapshot import index_folder, take_snapshot

Traceback = TracebackType | None


class PeopleStore:
    """The people of one embedding space. May be used by any one thread at a time.

    Every method that writes is one transaction: all of it is stored, synced to the disk and in the
    audit log when it returns, or nothing is. Other processes may read and write meanwhile.
    A context manager; `close` ends it.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, key: bytes | None) -> None:
        """Take over an open database; use `opening.open_store`."""
        self.path = path
        self.connection = connection
        self.seal = seal_of(connection, path, key)
        self.space_id = get_meta(connection, "space_id").decode()

    def __enter__(self) -> PeopleStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def dim(self) -> int:
        """The embeddings' size; 0 until somebody is enrolled."""
        return int(get_meta(self.connection, "dim") or b"0")

    def add(
        self, name: str, samples: Sequence[Sample], consent: Consent | None, id: str = ""
    ) -> PersonInfo:
        """Enrol a person with all their samples.

        Args:
            name: how results call them.
            samples: at least one.
            consent: what they agreed to; None when nothing was recorded.
            id: by default the next of u0001, u0002, ...

        Raises:
            ConfigError: the name or id is unusable or taken, or a sample is no unit vector of this
                space.
            StorageError: the disk refused; nothing is stored.
        """
        with self.writing() as now_s:
            check_samples(samples, self.dim)
            number, person_id = insert_person(self.connection, self.seal, name, id, now_s)
            set_consent(self.connection, self.seal, person_id, consent)
            set_meta(self.connection, "dim", str(samples[0].embedding.size).encode())
            insert_samples(self.connection, self.seal, number, person_id, samples)
            self.log(now_s, "enrolled", person_id, {"samples": len(samples)})
        return self.find(person_id)

    def add_samples(self, who: str, samples: Sequence[Sample]) -> PersonInfo:
        """Add samples to a person (id or name); those whose digest they have are left out.

        Raises:
            ConfigError: nobody is called that, or a sample is no unit vector of this space.
            StorageError: the disk refused; nothing is stored.
        """
        with self.writing() as now_s:
            check_samples(samples, self.dim)
            number, person_id = self._find(who)
            added = insert_samples(self.connection, self.seal, number, person_id, samples)
            self.log(now_s, "sample_added", person_id, {"samples": added})
        return self.find(person_id)

    def find(self, who: str) -> PersonInfo:
        """Return the person of this id or, if there is none, of this name.

        Raises:
            ConfigError: nobody is called that.
        """
        _, person_id = self._find(who)
        return self._people(person_id)[0]

    def has(self, who: str) -> bool:
        """Tell whether somebody has this id or name."""
        with storage_errors(self.path):
            return find_person(self.connection, self.seal, who) is not None

    def owner_of(self, digest: str) -> str | None:
        """Return the id of the person who has a sample of this source file, None for nobody."""
        query = (
            "SELECT id FROM persons JOIN samples ON person = persons.number WHERE digest_index = ?"
        )
        with storage_errors(self.path):
            row = self.connection.execute(query, [self.seal.index(digest)]).fetchone()
        return row[0] if row else None

    def people(self) -> tuple[PersonInfo, ...]:
        """Return everybody, in the order of enrolment."""
        return self._people(None)

    def samples(self, who: str) -> tuple[Sample, ...]:
        """Return a person's samples, oldest first (id or name)."""
        number, person_id = self._find(who)
        with storage_errors(self.path):
            return tuple(read_samples(self.connection, self.seal, number, person_id))

    def thumbnail(self, person_id: str) -> bytes:
        """Return the crop of a person's best photo, PNG; b"" for one known by voice only."""
        with storage_errors(self.path):
            return read_thumbnail(self.connection, self.seal, person_id)

    def remove(self, who: str) -> PersonInfo:
        """Erase a person: samples, consent, what waits for review; the bytes are overwritten."""
        info = self.find(who)
        with self.writing() as now_s:
            self.connection.execute("DELETE FROM persons WHERE id = ?", [info.id])
            self.log(now_s, "removed", info.id, {})
        self._leave_no_trace()
        return info

    def rename(self, who: str, name: str) -> PersonInfo:
        """Give a person another name; the id stays.

        Raises:
            ConfigError: nobody is called that, or the name is unusable or taken.
        """
        with self.writing() as now_s:
            _, person_id = self._find(who)
            rename_person(self.connection, self.seal, person_id, name)
            self.log(now_s, "renamed", person_id, {})
        self._leave_no_trace()
        return self.find(person_id)

    def set_consent(self, who: str, consent: Consent | None) -> PersonInfo:
        """Replace a person's consent record; None when they have none."""
        with self.writing() as now_s:
            _, person_id = self._find(who)
            set_consent(self.connection, self.seal, person_id, consent)
            expires = None if consent is None else consent.as_json()["expires"]
            self.log(now_s, "consent", person_id, {"expires": expires})
        return self.find(person_id)

    def erase_expired(self) -> tuple[str, ...]:
        """Erase everybody whose consent ran out `GRACE_DAYS` ago; return their ids.

        Call it only while the clock is known to be right.
        """
        with storage_errors(self.path):
            found = self.connection.execute(
                "SELECT id FROM persons WHERE erase_s <= ?", [time.time()]
            ).fetchall()
        if found:
            with self.writing() as now_s:
                for (person_id,) in found:
                    self.connection.execute("DELETE FROM persons WHERE id = ?", [person_id])
                    self.log(now_s, "expired", person_id, {})
            self._leave_no_trace()
        return tuple(person_id for (person_id,) in found)

    def gallery(self, engine: str = "") -> Gallery:
        """Return an immutable snapshot for search, without those whose consent has expired.

        Args:
            engine: where else to search, see `qdrant_index`; "" searches here.
        """
        with storage_errors(self.path):
            return take_snapshot(self.connection, self.seal, self.path, engine)

    @contextmanager
    def writing(self) -> Iterator[float]:
        """Make one transaction of a block, and every snapshot stale; yields the time, UTC."""
        with self.noting() as now_s:
            yield now_s
            generation = int(get_meta(self.connection, "generation")) + 1
            set_meta(self.connection, "generation", str(generation).encode())

    @contextmanager
    def noting(self) -> Iterator[float]:
        """Make one transaction of a block that changes nothing a snapshot shows; see `writing`."""
        with storage_errors(self.path), transaction(self.connection):
            yield time.time()

    def log(self, now_s: float, what: audit.What, person: str, detail: Mapping[str, Any]) -> None:
        """Add an entry to the audit log, inside `writing`."""
        audit.append(self.connection, self.seal, now_s, what, person, detail)

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def _people(self, person_id: str | None) -> tuple[PersonInfo, ...]:
        with storage_errors(self.path):
            return tuple(read_people(self.connection, self.seal, time.time(), person_id))

    def _find(self, who: str) -> tuple[int, str]:
        with storage_errors(self.path):
            found = find_person(self.connection, self.seal, who)
        if found is None:
            raise ConfigError(f"'{who}': nobody called that; see: earsight people list")
        return found

    def _leave_no_trace(self) -> None:
        """Let what was erased leave log and search files too, unless somebody reads just now."""
        with storage_errors(self.path):
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        drop_snapshot(index_folder(self.path))
