"""What is to be seen on the portraits: sex, age, proportions, sharpness, and whom they fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.manifest import TraitInfo
from edge.types import UInt8

from ..metrics import Bool, Float64, correlation, matching, queries_counted, sharpness
from ..population.law import Person
from ..population.pictures import TypicalPictures
from .bootstrap import Estimate, estimate, mean_of
from .calibration import probability
from .landmarks import Points, measure
from .observe import DRAWN_FROM, Observed
from .reader import Read, truth_of

SEXES = ("woman", "androgynous", "man")
UNDECIDED = (0.25, 0.75)  # P(female) read from a picture between these is androgynous
ANDROGYNOUS = (0.35, 0.65)  # P(female) heard between these should be drawn androgynous
BANDS = (15.0, 30.0, 45.0, 65.0)  # years at which a new age band starts
BAND_NAMES = ("to 14", "15–29", "30–44", "45–64", "65 on")
ADULT = 18.0


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of the test people, beside their law."""

    people: tuple[Person, ...]
    points: Points | None  # of their own faces; None without head geometry
    typical_points: Points | None  # of the typical face with their sex, age and size


def checks(seen: Observed, read: Read, truth: Truth, weights: Float64) -> dict[str, Any]:
    """Return the tables of one backend's portraits, with an `Estimate` for every figure."""
    return {
        **what_is_read(read, truth.people, weights),
        "craniofacial": craniofacial(read.points, truth.points, weights),
        "sharpness": sharpness(seen.portraits),
    }


def what_is_read(read: Read, people: Sequence[Person], weights: Float64) -> dict[str, Any]:
    """Return the confusions of sex and age band, and how often each is right."""
    female, years = truth_of(people)
    adult = years >= ADULT
    sex = np.where(read.female > UNDECIDED[1], 0, np.where(read.female < UNDECIDED[0], 2, 1))
    true_sex = np.where(female > 0.5, 0, 2)
    band, true_band = np.digitize(read.years, BANDS), np.digitize(years, BANDS)
    bands = len(BAND_NAMES)
    right_sex = np.where(adult, (read.female > 0.5) == (female > 0.5), np.nan)
    return {
        "sex_confusion": _confusion(true_sex[adult], sex[adult], len(SEXES)),
        "age_confusion": _confusion(true_band, band, bands),
        "sex_accuracy": mean_of(right_sex, weights),
        "age_band_accuracy": mean_of((band == true_band).astype(float), weights),
        "age_band_within_one": mean_of((np.abs(band - true_band) <= 1).astype(float), weights),
        "age_error_years": mean_of(np.abs(read.years - years), weights),
    }


def craniofacial(
    predicted: Points | None, true: Points | None, weights: Float64
) -> dict[str, Estimate] | None:
    """Return Pearson's r of each measurement with the person's own; None without landmarks."""
    if predicted is None or true is None:
        return None
    n = len(true)
    found, known = measure(predicted), measure(true)
    return {name: estimate(correlation(found[name], known[name], weights), n) for name in known}


def craniofacial_chance(predicted: Points, true: Points) -> dict[str, float]:
    """Return the mean |r| when portraits and people are paired at random."""
    rng = np.random.default_rng(1905)
    found, known = measure(predicted), measure(true)
    one = np.ones((1, len(true)))
    orders = [rng.permutation(len(true)) for _ in range(20)]
    return {
        name: float(
            np.mean([abs(correlation(found[name][o], known[name], one)[0]) for o in orders])
        )
        for name in known
    }


def matched(
    seen: Observed, allowed: Mapping[str, Bool], weights: Float64
) -> dict[str, dict[str, Estimate]]:
    """Return 1:2 matching against true faces, of the voices and of the portraits drawn from them.

    Both ask for the same photos; the portrait is seen by the bundle's face encoder, which may have
    been taught what portraits are (training/adapter.py). `difference`, with an interval of its own,
    is the portrait's figure less the voice's.
    """
    found: dict[str, dict[str, Estimate]] = {"voice": {}, "portrait": {}, "difference": {}}
    for stratum, beside in allowed.items():
        voice, portrait = (
            np.mean([matching(q @ f.T, beside, (2,), weights)[0] for f in seen.faces], axis=0)
            for q in (seen.voices[DRAWN_FROM].embedding, seen.portrait_faces)
        )
        values = {"voice": voice, "portrait": portrait, "difference": portrait - voice}
        for kind, resampled in values.items():
            found[kind][stratum] = estimate(resampled, queries_counted(beside, 2))
    return found


def androgyny(seen: Observed, read: Read, female: TraitInfo) -> dict[str, float]:
    """Return how the portraits of voices that do not tell their sex look."""
    p = probability(female, seen.voices[DRAWN_FROM].traits["female"])
    open_voice = (p > ANDROGYNOUS[0]) & (p < ANDROGYNOUS[1])
    drawn = undecided(read)
    count = int(open_voice.sum())
    return {
        "voices": count,
        "drawn_androgynous": float(drawn[open_voice].mean()) if count else 0.0,
        "others_drawn_androgynous": float(drawn[~open_voice].mean()) if count < len(p) else 0.0,
    }


def undecided(read: Read) -> Bool:
    """Tell which pictures (n,) look androgynous."""
    return np.asarray((read.female > UNDECIDED[0]) & (read.female < UNDECIDED[1]))


def nearest_typical(people: Sequence[Person], typical: TypicalPictures) -> UInt8:
    """Return the typical rendering nearest to each person's sex, age and size."""
    female, years = truth_of(people)
    size = np.array([p.size for p in people], np.float32)
    away = 9.0 * (female[:, None] - typical.female) ** 2
    away += ((years[:, None] - typical.years) / 20.0) ** 2
    away += 0.2 * (size[:, None] - typical.size) ** 2
    return np.asarray(typical.images[away.argmin(axis=1)], np.uint8)


def _confusion(true: Any, read: Any, kinds: int) -> list[list[int]]:
    """Return how often each true kind (row) was read as each kind (column)."""
    table = np.zeros((kinds, kinds), int)
    np.add.at(table, (true, read), 1)
    return [[int(v) for v in row] for row in table]
