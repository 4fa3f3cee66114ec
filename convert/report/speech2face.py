"""Speech2Face's feature tables: how near the voice's feature is to the face's, and for how long.

Oh et al. 2019, section 4.2: the angle between both features, their L1 and L2 distance, and the rank
of the true face in a gallery of 100, for several durations of voice. Features are the unit
embeddings of the shared space here, not VGG-Face's 4096 numbers, so that the distances cannot be
compared with theirs; the ranks can. On unit vectors L2 ranks as the angle does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge.types import Float32

from ..metrics import Bool, Float64, matching, queries_counted
from .bootstrap import Estimate, estimate, mean_of
from .observe import SECONDS, Observed

GALLERY = 100  # faces, the true one included
FIRST = (1, 2, 5, 10)


def durations(
    seen: Observed, allowed: Mapping[str, Bool], weights: Float64
) -> dict[str, dict[str, Any]]:
    """Return the table of one backend: seconds → figures, each an `Estimate` or a family of them.

    1:2 matching voice → face is the mean over the photos; the rest is of each one's first photo.
    """
    table = {}
    for seconds in SECONDS:
        voices = seen.voices[f"{seconds:g} s"].embedding
        table[f"{seconds:g}"] = {
            **_similarity(voices, seen.faces[0], weights),
            "matching_1_2": {s: mean_matching(voices, seen, allowed[s], weights) for s in "UG"},
        }
    return table


def mean_matching(voices: Float32, seen: Observed, beside: Bool, weights: Float64) -> Estimate:
    """Return 1:2 matching voice → face, the mean over the photos, of unit embeddings (n, d)."""
    values = [matching(voices @ faces.T, beside, (2,), weights)[0] for faces in seen.faces]
    return estimate(np.mean(values, axis=0), queries_counted(beside, 2))


def found_among(better: Float64, others: int, gallery: int, first: Sequence[int]) -> Float64:
    """Return the chance that the right item is among the first k of a gallery drawn at random.

    Args:
        better: (n,) of the `others` wrong items, how many come before the right one.
        others: wrong items there are.
        gallery: items drawn, the right one included; at most others + 1.
        first: the values of k.

    Returns:
        (n, len(first)), exact: the wrong items drawn are hypergeometric.
    """
    factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, others + 1)))])

    def log_choices(of: Float64, chosen: Float64) -> Float64:
        possible = (chosen >= 0) & (chosen <= of)
        a, b = of.clip(0).astype(int), chosen.clip(0).astype(int)
        log = factorial[a] - factorial[b] - factorial[(a - b).clip(0)]
        return np.asarray(np.where(possible, log, -np.inf))

    before = np.arange(max(first))[None]  # wrong items drawn that come before the right one
    ahead = np.ceil(better)[:, None]  # half a place for a tie counts against
    drawn = np.full_like(ahead, gallery - 1)
    log = log_choices(ahead + 0 * before, before + 0 * ahead)
    log = log + log_choices(others - ahead + 0 * before, drawn - before)
    log = log - log_choices(np.full_like(ahead, others), drawn)
    share = np.exp(log).cumsum(axis=1)
    return np.asarray(np.minimum(share[:, np.array(first) - 1], 1.0))


def _similarity(voices: Float32, faces: Float32, weights: Float64) -> dict[str, Any]:
    n = len(voices)
    cosine = voices @ faces.T
    city = -np.stack([np.abs(voice - faces).sum(axis=1) for voice in voices])
    own = np.diag(cosine).clip(-1.0, 1.0)
    degrees = np.degrees(np.arccos(own))
    table: dict[str, Any] = {
        "degrees": mean_of(degrees, weights),
        "degrees_sd": float(degrees.std()),
        "l1": mean_of(-np.diag(city), weights),
        "l2": mean_of(np.sqrt(2.0 - 2.0 * own), weights),
        "gallery": min(GALLERY, n),
    }
    for name, scores in (("recall_cosine", cosine), ("recall_l1", city)):
        right = np.diag(scores)[:, None]
        better = (scores > right).sum(axis=1) + 0.5 * ((scores == right).sum(axis=1) - 1)
        found = found_among(better, n - 1, table["gallery"], FIRST)
        table[name] = {k: mean_of(found[:, i], weights) for i, k in enumerate(FIRST)}
    return table
