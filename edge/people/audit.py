"""The audit log of a store: every enrolment, match shown, review, export and deletion.

It names nobody: persons are their ids, so that it may stay when a person is erased. Each entry
carries a hash over itself and the one before (an HMAC when the store is encrypted), so that a
changed, moved or missing entry shows. What is older than `KEPT_DAYS` goes; the chain stays whole.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from .database import get_meta, set_meta
from .encryption import Seal

What = Literal[
    "enrolled", "sample_added", "renamed", "consent", "expired", "removed", "shown", "reviewed",
    "exported", "imported", "migrated", "encrypted", "decrypted", "read",
]  # fmt: skip

KEPT_DAYS = 730.0  # of entries


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that was done with people."""

    number: int  # rising, without gaps
    time: datetime  # UTC
    what: str  # one of `What`
    person: str  # id; "" when it is about no one person
    detail: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the form that `earsight people audit --json` prints."""
        return {
            "number": self.number,
            "time": self.time.isoformat(timespec="seconds"),
            "what": self.what,
            "person": self.person,
            "detail": self.detail,
        }


def append(
    connection: sqlite3.Connection,
    seal: Seal,
    now_s: float,
    what: What,
    person: str,
    detail: Mapping[str, Any],
) -> None:
    """Add an entry inside a transaction."""
    text = json.dumps(detail, sort_keys=True)
    row = connection.execute("SELECT chain FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    before = bytes(row[0]) if row else get_meta(connection, "audit_start")
    chain = _link(seal, before, now_s, what, person, text)
    connection.execute(
        "INSERT INTO audit (time_s, what, person, detail, chain) VALUES (?, ?, ?, ?, ?)",
        [now_s, what, person, text, chain],
    )


def entries(connection: sqlite3.Connection) -> Iterator[AuditEntry]:
    """Yield every entry, oldest first."""
    query = "SELECT number, time_s, what, person, detail FROM audit ORDER BY number"
    for number, time_s, what, person, detail in connection.execute(query):
        yield AuditEntry(
            number, datetime.fromtimestamp(time_s, UTC), what, person, json.loads(detail)
        )


def first_break(connection: sqlite3.Connection, seal: Seal) -> int | None:
    """Return the number of the first entry that was changed, or follows a missing one."""
    before = get_meta(connection, "audit_start")
    expected = int(get_meta(connection, "audit_first") or b"1")
    query = "SELECT number, time_s, what, person, detail, chain FROM audit ORDER BY number"
    for number, time_s, what, person, detail, chain in connection.execute(query):
        if number != expected or _link(seal, before, time_s, what, person, detail) != chain:
            return int(number)
        before, expected = chain, number + 1
    return None


def rechain(connection: sqlite3.Connection, seal: Seal) -> None:
    """Compute every hash anew under another seal, inside a transaction."""
    before = get_meta(connection, "audit_start")
    query = "SELECT number, time_s, what, person, detail FROM audit ORDER BY number"
    for number, time_s, what, person, detail in connection.execute(query).fetchall():
        before = _link(seal, before, time_s, what, person, detail)
        connection.execute("UPDATE audit SET chain = ? WHERE number = ?", [before, number])


def prune(connection: sqlite3.Connection, now_s: float) -> None:
    """Remove entries that are too old, inside a transaction; the rest stays verifiable."""
    query = "SELECT number, chain FROM audit WHERE time_s < ? ORDER BY number DESC LIMIT 1"
    row = connection.execute(query, [now_s - 86_400 * KEPT_DAYS]).fetchone()
    if row:
        connection.execute("DELETE FROM audit WHERE number <= ?", [row[0]])
        set_meta(connection, "audit_start", row[1])
        set_meta(connection, "audit_first", str(row[0] + 1).encode())


def _link(seal: Seal, before: bytes, time_s: float, what: str, person: str, detail: str) -> bytes:
    return seal.index(json.dumps([before.hex(), time_s, what, person, detail]))
