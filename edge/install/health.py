"""Whether a bundle works on this machine, tried before it is used."""

from __future__ import annotations

import numpy as np

from ..audio.file import RATE
from ..bundle import Bundle
from ..errors import BundleError
from ..face.gallery import Gallery
from ..pipeline import Ear
from ..types import Sighting, Utterance

SECONDS = 3.0  # of the sound that is tried: more than one window


def try_bundle(bundle: Bundle) -> Sighting:
    """Open every model and look at a synthetic vowel; return what it gave.

    Raises:
        BundleError: a model breaks the contract, or what comes out is no number.
        RuntimeUnavailable: nothing installed here can run the models.
    """
    for model in bundle.manifest.models:
        bundle.open(model)
    sighting = Ear(bundle, Gallery(bundle.manifest.embedding.space_id)).look(_vowel())
    length = float(np.linalg.norm(sighting.voice.embedding))
    if not abs(length - 1.0) < 1e-3:  # written so that NaN fails too
        raise BundleError(
            f"{bundle.path}: its voice encoder gives an embedding of length {length:g}, not 1; "
            "ask its maker for a verified one"
        )
    return sighting


def _vowel() -> Utterance:
    """Return harmonics of 140 Hz with a falling spectrum: no speaker, but the same everywhere."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    harmonics = np.arange(1, 30)[:, None]
    sound = (np.sin(2 * np.pi * 140 * harmonics * time) / harmonics).sum(axis=0)
    samples = (0.3 * sound / np.abs(sound).max()).astype(np.float32)
    return Utterance(samples, 0.0, SECONDS, "synthetic vowel")
