"""Encrypts a whole store, decrypts it, or changes its key.

The sealed copy takes the store's place when it is complete. Blocks of the old file stay on the disk
until something else is written there, as those of any deleted file: whoever fears a stolen disk
encrypts before the first enrolment, or the disk itself.
"""

from __future__ import annotations

from .audit import rechain
from .copying import copy_database, take_place
from .database import KEY_CHECK, get_meta, open_database, set_meta
from .encryption import KeySeal, PlainSeal, Seal
from .sample_rows import checksum
from .store import PeopleStore


def reseal_people(store: PeopleStore, old: bytes | None, new: bytes | None) -> None:
    """Seal every value under another key; the store is closed and replaced.

    Args:
        store: to be sealed anew.
        old: the key it has, None when it is not encrypted.
        new: the key it gets; None decrypts it.

    Raises:
        StorageError: a value is damaged, the disk refused, or the store was changed meanwhile.
        RuntimeUnavailable: encryption needs a package that is not installed.
    """
    seal: Seal = PlainSeal() if new is None else KeySeal(new)
    path = store.path
    target = path.with_name(f".{path.name}.sealing")
    generation = get_meta(store.connection, "generation")
    copy_database(store.connection, target)
    with PeopleStore(target, open_database(target, None, old), old) as copy:
        with copy.writing() as now_s:
            _reseal_persons(copy, seal)
            _reseal_samples(copy, seal)
            _reseal_reviews(copy, seal)
            set_meta(copy.connection, "seal", seal.name.encode())
            set_meta(copy.connection, "key_check", seal.seal(KEY_CHECK, "key_check"))
            copy.seal = seal
            rechain(copy.connection, seal)
            copy.log(now_s, "decrypted" if new is None else "encrypted", "", {})
        copy.connection.execute("VACUUM")  # no page keeps what was there before
    take_place(store, generation, target, None)


def _reseal_persons(copy: PeopleStore, seal: Seal) -> None:
    query = "SELECT number, id, name, consent FROM persons"
    for number, id, name, consent in copy.connection.execute(query).fetchall():
        plain = copy.seal.unseal(name, f"{id}/name")
        values = [
            seal.seal(plain, f"{id}/name"),
            seal.index(plain.decode()),
            seal.seal(copy.seal.unseal(consent, f"{id}/consent"), f"{id}/consent"),
            number,
        ]
        copy.connection.execute(
            "UPDATE persons SET name = ?, name_index = ?, consent = ? WHERE number = ?", values
        )


def _reseal_samples(copy: PeopleStore, seal: Seal) -> None:
    numbers = copy.connection.execute("SELECT number FROM samples").fetchall()
    for (number,) in numbers:  # one at a time: crops of many people need not fit in memory
        id, *stored = copy.connection.execute(
            "SELECT id, embedding, crop, digest FROM samples JOIN persons "
            "ON persons.number = person WHERE samples.number = ?",
            [number],
        ).fetchone()
        places = [f"{id}/{column}" for column in ("embedding", "crop", "digest")]
        plain = [copy.seal.unseal(v, place) for v, place in zip(stored, places, strict=True)]
        sealed = [seal.seal(v, place) for v, place in zip(plain, places, strict=True)]
        copy.connection.execute(
            "UPDATE samples SET embedding = ?, crop = ?, digest = ?, digest_index = ?, crc = ? "
            "WHERE number = ?",
            [*sealed, seal.index(plain[2].hex()), checksum(*sealed), number],
        )


def _reseal_reviews(copy: PeopleStore, seal: Seal) -> None:
    query = (
        "SELECT reviews.number, id, embedding FROM reviews JOIN persons ON persons.number = person"
    )
    for number, id, stored in copy.connection.execute(query).fetchall():
        sealed = seal.seal(copy.seal.unseal(stored, f"{id}/review"), f"{id}/review")
        copy.connection.execute(
            "UPDATE reviews SET embedding = ?, crc = ? WHERE number = ?",
            [sealed, checksum(sealed), number],
        )
