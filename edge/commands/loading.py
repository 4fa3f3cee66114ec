"""What several commands load: bundle and gallery, as asked for or as they ship."""

from __future__ import annotations

from pathlib import Path

from ..bundle import Bundle, default_bundle_path, load_bundle
from ..face.gallery import Gallery, load_gallery, sample_gallery_path, user_gallery_path


def open_bundle(given: Path | None) -> Bundle:
    """Return the bundle asked for, else the one that ships."""
    return load_bundle(given or default_bundle_path())


def open_gallery(given: Path | None, bundle: Bundle) -> Gallery:
    """Return the gallery asked for, else the user's own, else the sample."""
    user = user_gallery_path()
    path = given or (user if user.exists() else sample_gallery_path())
    return load_gallery(path, bundle.manifest.embedding.space_id)


def identity(bundle: Bundle) -> dict[str, str]:
    """Return how results name the bundle that made them."""
    manifest = bundle.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "space_id": manifest.embedding.space_id,
    }
