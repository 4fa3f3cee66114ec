"""New models, same people: embeds every stored crop again with another bundle.

The work is done on a copy beside the store, a few samples at a time, and goes on where it was
stopped; the store itself stays in use until the copy is complete, and stays beside it afterwards.
Of voices no sound is kept, so they cannot be embedded again: whoever is known by voice only has to
be enrolled once more.
"""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..embed.encoder import FaceEncoder
from ..errors import RuntimeUnavailable, StorageError
from ..sqlite import storage_errors
from ..types import UInt8
from .copying import copy_database, remove_database, take_place
from .database import get_meta, open_database, set_meta
from .person_rows import read_people
from .sample_rows import checksum, pack_vector
from .store import PeopleStore

_AT_ONCE = 32  # samples embedded between two commits

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Migrated:
    """What became of the people."""

    people: int  # in the new store
    lost: tuple[str, ...]  # names of those who were known by voice only, or whose crops are gone
    kept: Path  # the store as it was


def migrate_people(
    store: PeopleStore,
    encoder: FaceEncoder,
    space_id: str,
    dim: int,
    key: bytes | None,
    progress: Progress,
) -> Migrated:
    """Embed a store's photos again; the store is closed and replaced.

    Args:
        store: of another embedding space.
        encoder: of the new bundle.
        space_id: of the new bundle.
        dim: of its embeddings.
        key: of an encrypted store.
        progress: called with samples done and samples in all.

    Raises:
        StorageError: the disk refused, a sample is damaged, or the store was changed meanwhile.
        RuntimeUnavailable: Pillow is not installed.
    """
    path = store.path
    new = path.with_name(f".{path.name}.migrating")
    generation = get_meta(store.connection, "generation")
    goal = f"{space_id} {generation.decode()} {get_meta(store.connection, 'uid').hex()}".encode()
    if not _goes_on(new, goal):
        copy_database(store.connection, new)
        with _opened(new, key) as copy, copy.noting():
            set_meta(copy.connection, "migrating", goal)
    with _opened(new, key) as copy:
        _embed(copy, encoder, progress)
        lost = _finish(copy, space_id, dim)
        people = len(copy.people())
    kept = path.with_name(f"{path.name}.{store.space_id}")
    take_place(store, generation, new, kept)
    return Migrated(people, lost, kept)


def _goes_on(new: Path, goal: bytes) -> bool:
    """Tell whether a copy was begun from this state of the store for this bundle."""
    if not new.exists():
        return False
    try:
        connection = open_database(new, None, None)
    except StorageError:
        remove_database(new)
        return False
    try:
        return get_meta(connection, "migrating") == goal
    finally:
        connection.close()


@contextmanager
def _opened(path: Path, key: bytes | None) -> Iterator[PeopleStore]:
    with PeopleStore(path, open_database(path, None, key), key) as store:
        yield store


def _embed(copy: PeopleStore, encoder: FaceEncoder, progress: Progress) -> None:
    """Embed what is left, photo by photo."""
    connection = copy.connection
    with storage_errors(copy.path):
        (total,) = connection.execute("SELECT count(*) FROM samples WHERE kind='photo'").fetchone()
    done = int(get_meta(connection, "migrated") or b"0")
    while rows := _next(connection, done):
        embedded = []
        for number, person_id, sealed, digest in rows:
            crop = copy.seal.unseal(sealed, f"{person_id}/crop")
            if crop:
                vector = encoder.embed(_pixels(crop, person_id)[None])
                packed = copy.seal.seal(pack_vector(vector), f"{person_id}/embedding")
                embedded.append([packed, checksum(packed, sealed, digest), number])
        done = rows[-1][0]
        with copy.noting():
            connection.executemany(
                "UPDATE samples SET embedding = ?, crc = ? WHERE number = ?", embedded
            )
            set_meta(connection, "migrated", str(done).encode())
        (finished,) = connection.execute(
            "SELECT count(*) FROM samples WHERE kind = 'photo' AND number <= ?", [done]
        ).fetchone()
        progress(finished, total)


def _next(connection: sqlite3.Connection, done: int) -> list[tuple[int, str, bytes, bytes]]:
    query = (
        "SELECT s.number, p.id, s.crop, s.digest FROM samples s JOIN persons p "
        "ON p.number = s.person WHERE s.kind = 'photo' AND s.number > ? "
        "ORDER BY s.number LIMIT ?"
    )
    return connection.execute(query, [done, _AT_ONCE]).fetchall()


def _finish(copy: PeopleStore, space_id: str, dim: int) -> tuple[str, ...]:
    """Take out what could not be embedded and name the new space."""
    connection = copy.connection
    empty = _photos_without_crop(copy)
    with copy.writing() as now_s:
        connection.execute("DELETE FROM samples WHERE kind = 'voice'")
        connection.executemany("DELETE FROM samples WHERE number = ?", [[n] for n in empty])
        connection.execute("DELETE FROM reviews")
        gone = [person for person in read_people(connection, copy.seal, now_s) if not person.photos]
        for person in gone:
            connection.execute("DELETE FROM persons WHERE id = ?", [person.id])
        set_meta(connection, "space_id", space_id.encode())
        set_meta(connection, "dim", str(dim).encode())
        connection.execute("DELETE FROM meta WHERE key IN ('migrating', 'migrated')")
        copy.log(now_s, "migrated", "", {"space_id": space_id, "lost": [p.id for p in gone]})
    return tuple(person.name for person in gone)


def _photos_without_crop(copy: PeopleStore) -> list[int]:
    query = (
        "SELECT s.number, p.id, s.crop FROM samples s JOIN persons p ON p.number = s.person "
        "WHERE s.kind = 'photo'"
    )
    return [
        number
        for number, person_id, sealed in copy.connection.execute(query)
        if not copy.seal.unseal(sealed, f"{person_id}/crop")
    ]


def _pixels(crop: bytes, person_id: str) -> UInt8:
    try:
        from PIL import Image
    except ImportError as exc:
        raise RuntimeUnavailable(
            "reading photos needs Pillow; run: pip install 'earsight[device]'"
        ) from exc
    try:
        with Image.open(io.BytesIO(crop), formats=("PNG",)) as image:
            if max(image.size) > 1024:
                raise ValueError("too large")
            return np.asarray(image.convert("RGB"), np.uint8)
    except Exception as exc:  # a decoder raises anything on damaged bytes
        raise StorageError(
            f"a photo of {person_id} is damaged; remove and enroll them again, then migrate"
        ) from exc
