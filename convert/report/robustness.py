"""Matching and sex of damaged voices against clean photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..metrics import Bool, Float64
from ..population.law import Person
from .bootstrap import Estimate, mean_of
from .degrade import CONDITIONS
from .observe import Observed
from .portraits import ADULT
from .speech2face import mean_matching

CLEAN = "draw 0"  # the same clip, undamaged


def robustness(
    seen: Observed, people: Sequence[Person], allowed: Mapping[str, Bool], weights: Float64
) -> dict[str, dict[str, Estimate]]:
    """Return condition → figures of one backend: 1:2 matching voice → face, sex of adults."""
    male = np.array([p.male for p in people])
    adult = np.array([p.years >= ADULT for p in people])
    table: dict[str, dict[str, Estimate]] = {}
    for name in (CLEAN, *CONDITIONS):
        voice = seen.voices[name]
        right = (voice.traits["female"] > 0) == ~male
        figures = {"sex_accuracy": mean_of(np.where(adult, right, np.nan), weights)}
        for stratum in ("U", "G"):
            figures[f"matching_1_2_v2f_{stratum}"] = mean_matching(
                voice.embedding, seen, allowed[stratum], weights
            )
        table["clean" if name == CLEAN else name] = figures
    return table
