"""Opens a store, or whatever file of people a path leads to; old galleries become stores."""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path

from ..face.gallery import Gallery
from ..face.gallery_file import load_gallery
from ..sqlite import storage_errors
from .database import is_store, open_database
from .encryption import find_key
from .person import Sample
from .store import PeopleStore

OLD_SUFFIX = ".before-store"  # of a gallery that was made into a store


def open_store(
    path: Path, space_id: str | None = None, key_file: Path | None = None
) -> PeopleStore:
    """Open a store for reading and writing, making it when it is missing and a space is given.

    A gallery of an earlier version is made into a store first; its file stays beside it.

    Args:
        path: the SQLite file; a new one has mode 0600.
        space_id: of the bundle in use; None opens any (to list, remove or export people).
        key_file: holds the key of an encrypted store; see `encryption.find_key` for the default.
            A new store is encrypted when there is a key.

    Raises:
        BundleError: the people were embedded by another bundle; see `earsight people migrate`.
        ConfigError: it is encrypted and there is no key.
        StorageError: missing, unreadable, damaged, of a newer earsight, or the key is wrong.
    """
    key = find_key(key_file)
    if path.exists() and not is_store(path) and path.stat().st_size:
        _convert(path, key)
    connection = open_database(path, space_id, key)
    try:
        with storage_errors(path):
            return PeopleStore(path, connection, key)
    except BaseException:
        connection.close()
        raise


def read_gallery(
    path: Path, space_id: str | None = None, key_file: Path | None = None, engine: str = ""
) -> Gallery:
    """Return the people of a store or of a published gallery, for search.

    Args:
        path: the file.
        space_id: of the bundle in use; None takes any.
        key_file: see `open_store`.
        engine: where else to search among a store's people, see `qdrant_index`.

    Raises:
        BundleError: they were embedded by another bundle.
        ConfigError: a store is encrypted and there is no key.
        StorageError: the file is missing, unreadable or damaged, or the engine does not answer.
    """
    if not is_store(path):
        return load_gallery(path, space_id)
    with open_store(path, space_id, key_file) as store:
        return store.gallery(engine)


def _convert(path: Path, key: bytes | None) -> None:
    """Make a gallery of an earlier version into a store at the same path, all of it or nothing."""
    gallery = load_gallery(path)
    old, new = path.with_name(path.name + OLD_SUFFIX), path.with_name(f".{path.name}.new")
    with storage_errors(path):
        for left in new.parent.glob(f"{new.name}*"):  # of a conversion that was cut short
            left.unlink()
        with PeopleStore(new, open_database(new, gallery.space_id, key), key) as store:
            for person in gallery.people:
                digest = hashlib.sha256(person.thumbnail or person.id.encode()).hexdigest()
                sample = Sample("photo", person.embedding, person.thumbnail, digest, 1.0)
                store.add(person.name, [sample], None, person.id)
            store.connection.execute("PRAGMA journal_mode = DELETE")  # all of it in one file
        shutil.copy2(path, old)
        old.chmod(0o600)
        new.replace(path)
    logging.getLogger(__name__).warning(
        "%s: made into a store of %d people; the old file is kept as %s until you remove it",
        path,
        len(gallery.people),
        old.name,
    )
