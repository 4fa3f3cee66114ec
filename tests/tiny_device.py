"""A device with the tiny bundle: its configuration, for commands that run as processes."""

from __future__ import annotations

from pathlib import Path

from edge.bundle import load_bundle
from edge.face.gallery_file import save_gallery
from tests.fakes import crowd

TINY = Path(__file__).parent / "data/tiny.bundle"


def write_device(folder: Path, more: str = "") -> Path:
    """Write a configuration, people of the bundle's space, and return where the first is.

    Args:
        folder: for everything, the journal too.
        more: TOML of further sections.
    """
    space = load_bundle(TINY).manifest.embedding
    save_gallery(folder / "tiny.gallery", crowd(space.space_id, space.dim))
    config = folder / "device.toml"
    config.write_text(
        f'[bundle]\npath = "{TINY}"\n[gallery]\npath = "{folder}/tiny.gallery"\n'
        f'[journal]\nfolder = "{folder}/journal"\n{more}',
        encoding="utf-8",
    )
    return config
