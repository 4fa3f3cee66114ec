"""Matches just below the line, kept for the user to answer "was this ...?" about them.

The voice is kept as an embedding, no sound, and for a while only. Confirmed, it becomes a voice
sample of the person, who is then known by their voice too; rejected or out of date, it is erased.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from ..errors import ConfigError, StorageError
from ..sqlite import storage_errors
from ..types import Float32
from .person import Sample, check_samples
from .sample_rows import checksum, insert_samples, pack_vector, unpack_vector
from .store import PeopleStore

MOST = 200  # kept for review, as Frigate does; the oldest go first
_DAY_S = 86_400.0
_ENTRY = """
    SELECT r.number, p.number, p.id, p.name, r.heard_s, r.score, r.probability, r.embedding, r.crc
    FROM reviews r JOIN persons p ON p.number = r.person
"""


@dataclass(frozen=True, slots=True)
class Review:
    """One match that waits for an answer."""

    number: int  # rising, never used twice
    person_id: str
    name: str
    heard: datetime  # UTC
    score: float  # cosine
    probability: float  # that it was this person

    def as_json(self) -> dict[str, object]:
        """Return the form for the page and `earsight review --json`."""
        return {
            "number": self.number,
            "person": self.person_id,
            "name": self.name,
            "heard": self.heard.isoformat(timespec="seconds"),
            "score": round(self.score, 4),
            "probability": round(self.probability, 4),
        }


def pending(store: PeopleStore) -> tuple[Review, ...]:
    """Return what waits, the newest first."""
    with storage_errors(store.path):
        rows = store.connection.execute(f"{_ENTRY} ORDER BY r.number DESC").fetchall()
    return tuple(
        Review(
            number,
            person_id,
            store.seal.unseal(name, f"{person_id}/name").decode(),
            datetime.fromtimestamp(heard_s, UTC),
            score,
            probability,
        )
        for number, _, person_id, name, heard_s, score, probability, _, _ in rows
    )


def keep(
    store: PeopleStore, person_id: str, voice: Float32, score: float, probability: float
) -> None:
    """Add a match to what waits; does nothing when the person was removed meanwhile.

    Args:
        store: that the person is in.
        person_id: the best match.
        voice: (d,) unit vector of the utterance.
        score: cosine of the match.
        probability: that it was this person.
    """
    sealed = store.seal.seal(pack_vector(voice), f"{person_id}/review")
    with store.noting() as now_s:
        store.connection.execute(
            "INSERT INTO reviews (person, heard_s, score, probability, embedding, crc) "
            "SELECT number, ?, ?, ?, ?, ? FROM persons WHERE id = ?",
            [now_s, score, probability, sealed, checksum(sealed), person_id],
        )
        store.connection.execute(
            "DELETE FROM reviews WHERE number <= (SELECT max(number) FROM reviews) - ?", [MOST]
        )


def confirm(store: PeopleStore, number: int) -> Review:
    """Make the voice of one match a sample of the person; return what it was.

    Raises:
        ConfigError: nothing of this number waits.
        StorageError: it is damaged; nothing is changed.
    """
    review = _find(store, number)
    with store.writing() as now_s:
        row = store.connection.execute(f"{_ENTRY} WHERE r.number = ?", [number]).fetchone()
        if row is None:
            raise _nothing(number)
        person, sealed, crc = row[1], row[7], row[8]
        if checksum(sealed) != crc:
            raise StorageError(f"review {number} is damaged; reject it")
        voice = unpack_vector(store.seal.unseal(sealed, f"{review.person_id}/review"))
        digest = hashlib.sha256(pack_vector(voice)).hexdigest()
        sample = Sample("voice", voice, b"", digest, 1.0)
        check_samples([sample], store.dim)
        insert_samples(store.connection, store.seal, person, review.person_id, [sample])
        _close(store, number)
        store.log(now_s, "reviewed", review.person_id, {"answer": "yes"})
    return review


def reject(store: PeopleStore, number: int) -> Review:
    """Erase one match; return what it was.

    Raises:
        ConfigError: nothing of this number waits.
    """
    review = _find(store, number)
    with store.noting() as now_s:
        _close(store, number)
        store.log(now_s, "reviewed", review.person_id, {"answer": "no"})
    return review


def forget_old(store: PeopleStore, days: float) -> None:
    """Erase what has waited longer than this many days."""
    with store.noting():
        store.connection.execute(
            "DELETE FROM reviews WHERE heard_s < ?", [time.time() - days * _DAY_S]
        )


def forget_heard(
    store: PeopleStore, person_id: str | None, since: datetime | None, until: datetime | None
) -> int:
    """Erase what was heard within `since <= time < until`; return how many there were.

    Args:
        store: that the people are in.
        person_id: only what was taken for this person; None for everybody.
        since: with a time zone; None from the beginning.
        until: with a time zone; None to the end.
    """
    first = since.timestamp() if since else 0.0
    end = until.timestamp() if until else float("inf")
    with store.noting():
        erased = store.connection.execute(
            "DELETE FROM reviews WHERE heard_s >= ? AND heard_s < ? "
            "AND (? IS NULL OR person = (SELECT number FROM persons WHERE id = ?))",
            [first, end, person_id, person_id],
        ).rowcount
    with storage_errors(store.path):
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return erased


def _find(store: PeopleStore, number: int) -> Review:
    found = next((review for review in pending(store) if review.number == number), None)
    if found is None:
        raise _nothing(number)
    return found


def _nothing(number: int) -> ConfigError:
    return ConfigError(f"review {number}: nothing of this number waits; see: earsight review")


def _close(store: PeopleStore, number: int) -> None:
    store.connection.execute("DELETE FROM reviews WHERE number = ?", [number])
