"""Whether a probability means what it says: reliability curve and expected calibration error."""

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
    """Return the reliability curve and the expected calibration error (Guo et al. 2017).

    Args:
        p: (m,) probabilities.
        true: (m,) whether the event happened.
        speaker: (m,) who each belongs to, 0 .. n - 1.
        weights: (b, n) resamples of speakers.
    """
    place = np.minimum((p * BINS).astype(int), BINS - 1)
    inside = place[None] == np.arange(BINS)[:, None]  # (bins, m)
    counts = weights[:, speaker] @ inside.T.astype(np.float64)
    said = weights[:, speaker] @ (inside * p).T
    happened = weights[:, speaker] @ (inside * true).T
    error = np.abs(said - happened).sum(axis=1) / counts.sum(axis=1).clip(1e-12)
    return {
        "ece": estimate(error, len(np.unique(speaker))),
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
