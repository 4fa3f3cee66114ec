"""What leaves the journal on demand: a person or a time, so that no byte stays in a file."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import StorageError
from ..sqlite import transaction
from .journal_folder import DATABASE, list_set_aside
from .journal_query import pack, time_clause, unpack
from .journal_retention import remove_files, remove_rows
from .jsonl import as_line


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was done."""

    removed: int  # events, with their portraits
    changed: int  # events that ranked the person below the best, and stay without them
    set_aside: int  # journals found corrupt earlier: they cannot be searched and went whole


def forget(
    connection: sqlite3.Connection,
    folder: Path,
    person: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Forgotten:
    """Remove a person, a time range, or a person within one; `Journal.forget` is the contract."""
    where, values = time_clause(since, until)
    removed: list[int] = []
    changed = 0
    with transaction(connection):
        who, names = (set[str](), set[str]()) if person is None else _known(connection, person)
        ids = connection.execute(f"SELECT id FROM events WHERE {where}", values).fetchall()
        for (event_id,) in ids:
            body = None if person is None else _body(connection, event_id)
            rest = None if body is None or person is None else without_person(body, who, names)
            if rest is None:
                removed.append(event_id)
            elif rest is not body:
                row = [*pack(as_line(rest)), event_id]
                connection.execute("UPDATE events SET crc = ?, body = ? WHERE id = ?", row)
                changed += 1
        remove_rows(connection, removed)
    remove_files(folder, removed)
    copies = list_set_aside(folder)
    for copy in copies:
        shutil.rmtree(copy)
    connection.execute("VACUUM")
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StorageError(
            f"{folder / DATABASE}: another program is reading it, so old bytes stay in its log; "
            "stop that program and forget again"
        )
    return Forgotten(len(removed), changed, len(copies))


def without_person(
    body: Mapping[str, Any], ids: Collection[str], names: Collection[str]
) -> Mapping[str, Any] | None:
    """Return the body without a person, the same object when it does not name them.

    None means that the whole event has to go: the voice was taken to be theirs (they are the
    decision or the best match, so the portrait is of their voice), or a text speaks of them.

    Args:
        body: as `Event.as_json`.
        ids: the gallery's for them; several where they were enrolled anew.
        names: what the gallery called them.
    """
    matches = body.get("matches") or []
    decision = body.get("decision") or {}
    if decision.get("id") in ids or (matches and matches[0].get("id") in ids):
        return None
    others = {k: v for k, v in body.items() if k not in ("matches", "decision")}
    spoken = {k: v for k, v in decision.items() if k not in ("id", "name")}
    if any(_mentions(text, {*ids, *names}) for text in _texts([others, spoken])):
        return None
    rest = [match for match in matches if match.get("id") not in ids]
    return body if len(rest) == len(matches) else {**body, "matches": rest}


def _known(connection: sqlite3.Connection, person: str) -> tuple[set[str], set[str]]:
    """Return the ids and the names that the journal has for a person, given either."""
    pairs: set[tuple[str, str]] = set()
    for (event_id,) in connection.execute("SELECT id FROM events").fetchall():
        body = _body(connection, event_id) or {}
        named = [*(body.get("matches") or []), body.get("decision") or {}]
        pairs |= {(entry["id"], entry["name"]) for entry in named if entry.get("id")}
    ids = {person} | {id for id, name in pairs if name == person}
    return ids, {name for id, name in pairs if id in ids}


def _body(connection: sqlite3.Connection, event_id: int) -> dict[str, Any] | None:
    """Return one row's body; None for a damaged row, of which nobody can tell whom it names."""
    query = "SELECT crc, body FROM events WHERE id = ?"
    crc, packed = connection.execute(query, (event_id,)).fetchone()
    try:
        return unpack(crc, packed)
    except StorageError:
        return None


def _mentions(text: str, names: set[str]) -> bool:
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) for name in names)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
