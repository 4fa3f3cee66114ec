"""People for tests of the store: unit vectors of a fixed seed, and samples around them."""

from __future__ import annotations

import hashlib

import numpy as np

from edge.people.person import Kind, Sample

SPACE = "space-1"
DIM = 16


def unit(*key: int, dim: int = DIM) -> np.ndarray:
    """Return the unit vector of a key."""
    vector = np.random.default_rng([9, *key]).normal(size=dim)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def sample(*key: int, kind: Kind = "photo", quality: float = 0.5, dim: int = DIM) -> Sample:
    """Return the sample of a key, with a crop that tells it."""
    crop = f"png of {key}".encode() if kind == "photo" else b""
    digest = hashlib.sha256(repr((kind, key)).encode()).hexdigest()
    return Sample(kind, unit(*key, dim=dim), crop, digest, quality)
