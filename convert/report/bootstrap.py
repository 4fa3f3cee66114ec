"""Confidence intervals: people are drawn again with replacement, not pairs of people.

The pairs of one person depend on each other, so resampling them would give intervals that are far
too narrow (Efron & Tibshirani 1993, chapter 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.types import Float32

from ..metrics import Float64

RESAMPLES = 500
CONFIDENCE = 0.95
SEED = 9406


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float
    n: int  # people it rests on

    def as_json(self) -> dict[str, Any]:
        """Return the leaf of `report.json`."""
        return {
            "value": round(self.value, 5),
            "low": round(self.low, 5),
            "high": round(self.high, 5),
            "n": self.n,
        }


def resamples(n: int, count: int = RESAMPLES) -> Float64:
    """Return how often each of n people is drawn, (1 + count, n); the first row is ones."""
    rng = np.random.default_rng([SEED, n])
    drawn = rng.multinomial(n, np.full(n, 1.0 / n), count)
    return np.concatenate([np.ones((1, n)), drawn])


def estimate(values: Float64, n: int) -> Estimate:
    """Return the figure of the sample, values[0], with the percentiles of the resamples' figures.

    Args:
        values: (1 + resamples,), of weights made by `resamples`.
        n: people the figure rests on.
    """
    if len(values) < 2:
        return Estimate(float(values[0]), float(values[0]), float(values[0]), n)
    low, high = np.percentile(values[1:], [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return Estimate(float(values[0]), float(low), float(high), n)


def mean_of(per_person: Float64 | Float32, weights: Float64) -> Estimate:
    """Return the mean over people of one value each, (n,); NaN marks people who have none."""
    known = np.isfinite(per_person)
    counts = weights * known
    total = counts @ np.where(known, per_person, 0.0).astype(np.float64)
    return estimate(total / counts.sum(axis=1).clip(1e-12), int(known.sum()))


def plain(content: Any) -> Any:
    """Return nested mappings and sequences with every estimate as JSON and every float rounded."""
    if isinstance(content, Estimate):
        return content.as_json()
    if isinstance(content, Mapping):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [plain(value) for value in content]
    if isinstance(content, np.ndarray):
        return plain(content.tolist())
    return round(float(content), 5) if isinstance(content, float | np.floating) else content
