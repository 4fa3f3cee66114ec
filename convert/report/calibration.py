"""Whether a probability means what it says: reliability curve, expected calibration errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.manifest import TraitInfo
from edge.types import Float32

from ..metrics import Bool, Float64, Index
from .bootstrap import estimate

BINS = 10


def real_value(trait: TraitInfo, output: Float32) -> Float64:
    """Return a trait's values for outputs of the voice encoder: link⁻¹(mean + std × output)."""
    x = trait.mean + trait.std * output.astype(np.float64)
    if trait.link == "logistic":
        return np.asarray(0.5 * (1.0 + np.tanh(x / 2.0)))
    return np.asarray(np.exp(x) if trait.link == "exp" else x)


def probability(trait: TraitInfo, output: Float32) -> Float64:
    """Return the probabilities of a logistic trait."""
    if trait.link != "logistic":
        raise ValueError(f"a trait with the link {trait.link} is no probability")
    return real_value(trait, output)


def reliability(p: Float64, true: Bool, speaker: Index, weights: Float64) -> dict[str, Any]:
    """Return the reliability curve and two expected calibration errors, over `BINS` even bins.

    "ece" is that of the probability itself, as the curve shows it (Naeini et al. 2015).
    "confidence_ece" is that of the confidence in what is said: how often the likelier of event and
    no event is true, against the probability given to it (Guo et al. 2017).

    Args:
        p: (m,) probabilities.
        true: (m,) whether the event happened.
        speaker: (m,) who each belongs to, 0 .. n - 1.
        weights: (b, n) resamples of speakers.
    """
    counts, said, happened = _binned(p, true, weights[:, speaker])
    confident = _binned(np.maximum(p, 1.0 - p), (p > 0.5) == true, weights[:, speaker])
    n = len(np.unique(speaker))
    return {
        "ece": estimate(_error(counts, said, happened), n),
        "confidence_ece": estimate(_error(*confident), n),
        "bins": [
            {
                "said": float(said[0, k] / counts[0, k]),
                "happened": float(happened[0, k] / counts[0, k]),
                "count": int(counts[0, k]),
            }
            for k in range(BINS)
            if counts[0, k]
        ],
    }


def _binned(p: Float64, true: Bool, weights: Float64) -> tuple[Float64, Float64, Float64]:
    """Return weight, sum of probabilities and sum of events in each bin, each (b, BINS)."""
    place = np.minimum((p * BINS).astype(int), BINS - 1)
    inside = place[None] == np.arange(BINS)[:, None]  # (bins, m)
    counts = weights @ inside.T.astype(np.float64)
    return counts, weights @ (inside * p).T, weights @ (inside * true).T


def _error(counts: Float64, said: Float64, happened: Float64) -> Float64:
    """Return the expected calibration error of each resample, (b,)."""
    return np.asarray(np.abs(said - happened).sum(axis=1) / counts.sum(axis=1).clip(1e-12))
