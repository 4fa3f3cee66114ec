"""What several commands load: bundle and gallery, as asked for or as they ship."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..bundle import Bundle, load_bundle
from ..config import key_file, load_config
from ..face.gallery import Gallery, sample_gallery_path, user_gallery_path
from ..install.store import bundle_in_use
from ..people.database import is_store
from ..people.opening import open_store, read_gallery
from ..people.sink import note_match
from ..people.store import PeopleStore


def open_bundle(given: Path | None) -> Bundle:
    """Return the bundle asked for, else the installed one, else the one that ships."""
    return load_bundle(given or bundle_in_use())


def open_gallery(given: Path | None, bundle: Bundle) -> Gallery:
    """Return the gallery asked for, else the user's own, else the sample."""
    user = user_gallery_path()
    path = given or (user if user.exists() else sample_gallery_path())
    return read_gallery(path, bundle.manifest.embedding.space_id, _key_file())


def people_path(given: Path | None) -> Path:
    """Return the store asked for, else the user's own."""
    return given or user_gallery_path()


def open_people(given: Path | None, bundle: Bundle | None = None) -> PeopleStore:
    """Open the store asked for, else the user's own; a bundle makes it when it is missing."""
    space_id = bundle.manifest.embedding.space_id if bundle else None
    return open_store(people_path(given), space_id, _key_file())


def note_shown(given: Path | None, utterances: Sequence[Mapping[str, Any]]) -> None:
    """Write into a store's audit log who was shown as a match; a published gallery has none.

    Args:
        given: the gallery asked for.
        utterances: as `earsight hear --json` prints them.
    """
    path = people_path(given)
    if utterances and is_store(path):
        with open_people(path) as store, store.noting() as now_s:
            for utterance in utterances:
                note_match(store, now_s, utterance, {"source": "hear"})


def _key_file() -> Path | None:
    return key_file(load_config().config.gallery)


def identity(bundle: Bundle) -> dict[str, str]:
    """Return how results name the bundle that made them."""
    manifest = bundle.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "space_id": manifest.embedding.space_id,
    }
