"""Strangers that ship with a bundle: how near somebody unknown comes to a voice.

Some voices are near to everybody, a child's for instance; scores say little then. Comparing with
the nearest of the same thousand strangers each time takes that out, whoever speaks (adaptive score
normalisation: Sturim and Reynolds, ICASSP 2005; Matejka et al., Interspeech 2017).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import BundleError
from ..types import Float32
from .codes import Codes, encode
from .person import KINDS, Kind

if TYPE_CHECKING:
    from ..bundle import Bundle

FILE = "cohort"  # its name in the manifest's `files`
_LEAST_ANGLE = 1e-3  # radians


@dataclass(frozen=True, slots=True)
class Cohort:
    """People nobody knows, by photo and by voice."""

    vectors: Mapping[Kind, Float32]  # (n, d) each, unit length
    nearest: int  # of them are averaged

    def angle(self, embedding: Float32, kind: Kind) -> float:
        """Return how near strangers come to a unit embedding (d,), radians."""
        return float(self.angles(embedding[None], kind)[0])

    def angles(self, embeddings: Float32, kind: Kind) -> npt.NDArray[np.float64]:
        """Return the same for many, (m, d) to (m,): the angle of the nearest cosines' mean."""
        cosines = np.asarray(embeddings @ self.vectors[kind].T, np.float64)
        first = cosines.shape[1] - self.nearest
        mean = np.partition(cosines, first, axis=1)[:, first:].mean(axis=1)
        return np.asarray(np.maximum(np.arccos(np.clip(mean, -1.0, 1.0)), _LEAST_ANGLE))


def pack_cohort(vectors: Mapping[Kind, Float32]) -> bytes:
    """Return a bundle's file: for each kind 8-bit codes (n, d) and their step, as `.npz`."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for kind in KINDS:
        codes = encode(vectors[kind])
        arrays[kind] = codes.values
        arrays[f"{kind}_step"] = np.array(codes.step)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def unpack_cohort(content: bytes, nearest: int) -> Cohort:
    """Read what `pack_cohort` wrote.

    Raises:
        ValueError: it is something else, or has fewer than `nearest` people.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            vectors = {
                kind: _unit(Codes(arrays[kind], float(arrays[f"{kind}_step"]), 0.0))
                for kind in KINDS
            }
    except (OSError, KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as exc:
        raise ValueError("not a cohort") from exc
    if min(len(rows) for rows in vectors.values()) < max(nearest, 1):
        raise ValueError(f"fewer than {nearest} people")
    return Cohort(vectors, nearest)


def load_cohort(bundle: Bundle, nearest: int) -> Cohort:
    """Return the strangers of a bundle.

    Raises:
        BundleError: it has none, or they are not of its space.
    """
    info = bundle.manifest.files.get(FILE)
    if info is None:
        raise BundleError(f"{bundle.path}: files.{FILE}: missing, though there is a decision")
    try:
        cohort = unpack_cohort((bundle.path / info.file).read_bytes(), nearest)
    except (OSError, ValueError) as exc:
        raise BundleError(f"{bundle.path}: files.{FILE}: {exc}; install the bundle again") from exc
    dim = bundle.manifest.embedding.dim
    if any(rows.shape[1] != dim for rows in cohort.vectors.values()):
        raise BundleError(f"{bundle.path}: files.{FILE}: not of {dim} dimensions")
    return cohort


def _unit(codes: Codes) -> Float32:
    if codes.values.dtype != np.int8 or codes.values.ndim != 2:
        raise ValueError("not 8-bit codes")
    rows = codes.values.astype(np.float32) * np.float32(codes.step)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9))
