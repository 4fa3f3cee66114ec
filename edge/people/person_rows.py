"""Persons to and from their table: ids that are never used twice, sealed names and consent."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime

from ..errors import ConfigError
from .consent import Consent, pack_consent, unpack_consent
from .encryption import Seal
from .person import PersonInfo, check_label

_SELECT = """
    SELECT p.id, p.name, p.consent, p.added_s,
        count(s.number) FILTER (WHERE s.kind = 'photo'),
        count(s.number) FILTER (WHERE s.kind = 'voice')
    FROM persons p LEFT JOIN samples s ON s.person = p.number
    WHERE ? IS NULL OR p.id = ? GROUP BY p.number ORDER BY p.number
"""


def insert_person(
    connection: sqlite3.Connection, seal: Seal, name: str, wanted: str, now_s: float
) -> tuple[int, str]:
    """Make a row for a person inside a transaction.

    Args:
        connection: to the store.
        seal: of its values.
        name: must be free.
        wanted: the id; "" for the next of u0001, u0002, ...
        now_s: seconds since 1970, UTC.

    Returns:
        The row's number and the id.

    Raises:
        ConfigError: name or id is unusable or taken.
    """
    check_label("name", name)
    _refuse_taken(connection, seal, name)
    number = None
    if wanted:
        check_label("id", wanted)
        if find_person(connection, seal, wanted) is not None:
            raise ConfigError(f"id '{wanted}': taken; choose another")
        number = _serial(connection, wanted)
    row = connection.execute(
        "INSERT INTO persons (number, id, name, name_index, consent, added_s) "
        "VALUES (?, ?, ?, ?, ?, ?) RETURNING number",
        [number, f"new {name}", b"", seal.index(name), b"", now_s],
    ).fetchone()
    person_id = wanted or f"u{row[0]:04d}"
    connection.execute("UPDATE persons SET id = ? WHERE number = ?", [person_id, row[0]])
    set_name(connection, seal, person_id, name)
    set_consent(connection, seal, person_id, None)
    return int(row[0]), person_id


def find_person(connection: sqlite3.Connection, seal: Seal, who: str) -> tuple[int, str] | None:
    """Return number and id of who has this id or, if nobody has, this name; None for nobody."""
    for column, value in (("id", who), ("name_index", seal.index(who))):
        query = f"SELECT number, id FROM persons WHERE {column} = ?"
        row = connection.execute(query, [value]).fetchone()
        if row:
            return int(row[0]), str(row[1])
    return None


def read_people(
    connection: sqlite3.Connection, seal: Seal, now_s: float, person_id: str | None = None
) -> Iterator[PersonInfo]:
    """Yield everybody, or the one of an id, in the order of enrolment."""
    for row in connection.execute(_SELECT, [person_id, person_id]).fetchall():
        id, name, packed, added_s, photos, voices = row
        consent = unpack_consent(seal.unseal(packed, f"{id}/consent"))
        yield PersonInfo(
            id,
            seal.unseal(name, f"{id}/name").decode(),
            photos,
            voices,
            consent,
            datetime.fromtimestamp(added_s, UTC),
            consent is not None and consent.has_expired(now_s),
        )


def rename_person(connection: sqlite3.Connection, seal: Seal, person_id: str, name: str) -> None:
    """Give a person another name.

    Raises:
        ConfigError: the name is unusable, or somebody else has it.
    """
    check_label("name", name)
    found = find_person(connection, seal, name)
    if found is None or found[1] != person_id:
        _refuse_taken(connection, seal, name)
    set_name(connection, seal, person_id, name)


def set_name(connection: sqlite3.Connection, seal: Seal, person_id: str, name: str) -> None:
    """Store a name that is known to be free."""
    connection.execute(
        "UPDATE persons SET name = ?, name_index = ? WHERE id = ?",
        [seal.seal(name.encode(), f"{person_id}/name"), seal.index(name), person_id],
    )


def set_consent(
    connection: sqlite3.Connection, seal: Seal, person_id: str, consent: Consent | None
) -> None:
    """Store a consent record; None for none."""
    expires = consent.expires.timestamp() if consent and consent.expires else None
    erase = consent.erase_at_s() if consent else None
    sealed = seal.seal(pack_consent(consent), f"{person_id}/consent")
    connection.execute(
        "UPDATE persons SET consent = ?, expires_s = ?, erase_s = ? WHERE id = ?",
        [sealed, expires, erase, person_id],
    )


def _refuse_taken(connection: sqlite3.Connection, seal: Seal, name: str) -> None:
    if find_person(connection, seal, name) is not None:
        raise ConfigError(
            f"'{name}' is enrolled already; add photos to them, or choose another name"
        )


def _serial(connection: sqlite3.Connection, wanted: str) -> int | None:
    """Return the row number that an id of our own form stands for, if it is free."""
    digits = wanted[1:]
    if wanted[:1] != "u" or not digits.isascii() or not digits.isdecimal() or len(digits) > 9:
        return None
    number = int(digits)
    query = "SELECT 1 FROM persons WHERE number = ?"
    return None if not number or connection.execute(query, [number]).fetchone() else number
