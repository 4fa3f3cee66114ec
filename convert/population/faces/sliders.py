"""Detail morphs of the face: how far each slider strays, and which ones carry the size axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

LIMIT = 0.8  # no random slider leaves -0.8..0.8
SPREAD = 0.9  # of all standard deviations below
SIGMA_DEFAULT = 0.27
SIGMA: Mapping[str, float] = {  # tuned by eye: what stays plausible
    "chin/chin-jaw-drop": 0.2,
    "ears/ear-rot": 0.2,
    "ears/ear-shape": 0.0,
    "ears/ear-wing": 0.35,
    "eyebrows/eyebrows-angle": 0.15,
    "eyebrows/eyebrows-trans": 0.25,
    "eyes/eye-bag": 0.3,
    "eyes/eye-corner1": 0.25,
    "eyes/eye-corner2": 0.3,
    "eyes/eye-epicanthus": 0.25,
    "eyes/eye-height1": 0.15,
    "eyes/eye-height2": 0.15,
    "eyes/eye-height3": 0.15,
    "eyes/eye-push1": 0.0,
    "eyes/eye-push2": 0.1,
    "forehead/forehead-nubian": 0.25,
    "forehead/forehead-scale-vert": 0.2,
    "head/head-age": 0.0,
    "head/head-angle": 0.25,
    "head/head-fat": 0.35,
    "head/head-scale-depth": 0.2,
    "head/head-scale-horiz": 0.25,
    "head/head-scale-vert": 0.2,
    "mouth/mouth-angles": 0.12,
    "mouth/mouth-dimples": 0.2,
    "mouth/mouth-laugh-lines": 0.2,
    "mouth/mouth-scale-horiz": 0.35,
    "mouth/mouth-trans": 0.15,
    "neck/neck-back-scale-depth": 0.15,
    "neck/neck-double": 0.15,
    "neck/neck-scale-depth": 0.2,
    "neck/neck-scale-horiz": 0.2,
    "nose/nose-compression": 0.2,
    "nose/nose-septumangle": 0.2,
    "nose/nose-trans": 0.12,
}
MEAN: Mapping[str, float] = {  # without them MakeHuman's neutral face frowns
    "eyebrows/eyebrows-angle": 0.55,
    "mouth/mouth-angles": 0.15,
}

SIZE_LOADING = 0.8  # correlation of each slider below with the size axis (an assumption)
SIZE_LIMIT = 2.2  # standard deviations
SIZE_SLIDERS: Mapping[str, float] = {  # change per standard deviation of the size axis
    "chin/chin-bones": 0.33,
    "chin/chin-height": 0.30,
    "chin/chin-width": 0.33,
    "eyes/eye-scale": -0.28,
    "head/head-scale-horiz": 0.15,
    "mouth/mouth-scale-horiz": 0.21,
    "neck/neck-scale-depth": 0.25,
    "neck/neck-scale-horiz": 0.40,
    "nose/nose-scale-horiz": 0.25,
    "nose/nose-scale-vert": 0.30,
}
CHILD_EYES = 0.22  # children's eyes are large for their face: mean of eye-scale


def childhood(years: float) -> float:
    """Return 1 up to 12 years, 0 from 16 years on."""
    return float(np.interp(years, (12.0, 16.0), (1.0, 0.0)))


def mean_sliders(names: Iterable[str], years: float) -> dict[str, float]:
    """Return every slider at the mean of its age."""
    values = {name: MEAN.get(name, 0.0) for name in names}
    if "eyes/eye-scale" in values:
        values["eyes/eye-scale"] += CHILD_EYES * childhood(years)
    return values


def random_sliders(
    names: Iterable[str], years: float, rng: np.random.Generator
) -> dict[str, float]:
    """Return every slider strayed from its mean; children and the old stray a little less."""
    amplitude = SPREAD * float(np.interp(years, (12, 18, 55, 75), (0.7, 1.0, 1.0, 0.8)))
    values = {}
    for name, mean in mean_sliders(names, years).items():
        sigma = SIGMA.get(name, SIGMA_DEFAULT) * amplitude
        if name == "eyebrows/eyebrows-trans":
            sigma *= 1 - 0.5 * childhood(years)
        values[name] = float(np.clip(rng.normal(mean, sigma), -LIMIT, LIMIT))
    return values


def set_size(
    values: dict[str, float], size: float, years: float, rng: np.random.Generator | None
) -> None:
    """Overwrite the sliders that carry the size axis, in place.

    The portrait is normalised to eyes and crown-chin, so only proportions carry size: a large
    head has a broad strong chin, a thick neck, a long nose and small eyes.

    Args:
        values: sliders by name.
        size: the axis, standard deviations.
        years: children's proportions move 0.65 times as far.
        rng: source of what else moves these sliders; None for the loading 1 of a typical face.
    """
    mean = mean_sliders(values, years)
    amplitude = 1.0 - 0.35 * childhood(years)
    clipped = max(-SIZE_LIMIT, min(SIZE_LIMIT, size))
    for name, slope in SIZE_SLIDERS.items():
        if rng is None:
            deviation = slope * clipped
        else:
            other = math.sqrt(1 - SIZE_LOADING**2) * rng.normal()
            deviation = slope * SIZE_LOADING * clipped + abs(slope) * other
        values[name] = float(np.clip(mean[name] + amplitude * deviation, -0.9, 0.9))
