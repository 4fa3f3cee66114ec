"""The protocols of both papers: 1:N matching, verification, retrieval (Shape of Sound, section 9).

1:N matching, verification and recall at k compare everybody's voice with one photo, averaged over
the photos. The voice is one window of each of three utterances, 8 s together (the paper hears 10 s
of one). Mean average precision ranks all photos of everybody for each voice, and the other way
round.

A result is found as `results[metric][direction][stratum][backend]`, an `Estimate` as JSON. The two
families `matching_1_n` and `recall_at_k` give their last member there, N = 10 and k = 10, and all
members under the further key `by`: `results["matching_1_n"]["v2f"]["G"]["litert"]["by"]["4"]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.types import Float32

from ..metrics import (
    Bool,
    Float64,
    Retrieval,
    matching,
    queries_counted,
    retrieval,
    unit,
    verification,
)
from ..population.law import Person
from ..verify import DRAWS
from .bootstrap import Estimate, estimate, mean_of
from .observe import Observed

DIRECTIONS = ("v2f", "f2v")
OF = tuple(range(2, 11))  # N of 1:N
FIRST = (1, 5, 10)  # k of recall at k

Results = dict[str, dict[str, dict[str, dict[str, Any]]]]


@dataclass(frozen=True, slots=True)
class Scores:
    """How well each voice fits each face; higher is better."""

    draws: tuple[Float32, ...]  # (n, n) each: the voice and one photo of everybody
    every: Float32  # (n, photos n): each voice with each photo, person i at i, i + n, ...


def strata(people: Sequence[Person]) -> dict[str, Bool]:
    """Return who may stand beside whom, (n, n) each: anybody, same sex, same sex and age class."""
    male = np.array([p.male for p in people])
    age = np.array([p.age_class for p in people])
    same_sex = male[:, None] == male[None]
    anybody = np.ones_like(same_sex)
    return {"U": anybody, "G": same_sex, "GA": same_sex & (age[:, None] == age[None])}


def scores_of(seen: Observed, photos: int) -> Scores:
    """Return the cosines of a backend.

    Args:
        seen: what it made of the test people.
        photos: how many draws have different photos.
    """
    utterances = [seen.voices[f"draw {k}"].embedding for k in range(DRAWS)]
    voices = unit(np.mean(utterances, axis=0))
    pairs = tuple(voices @ faces.T for faces in seen.faces[:photos])
    return Scores(pairs, np.concatenate(pairs, axis=1))


def scores_of_oracle(scores: Float32, photos: int) -> Scores:
    """Return an ideal observer's scores (n, n): to it, all photos of a person are the same."""
    return Scores((scores,), np.tile(scores, (1, photos)))


def evaluate(
    tables: Mapping[str, Scores], allowed: Mapping[str, Bool], weights: Float64
) -> Results:
    """Return every result.

    Args:
        tables: backend → scores.
        allowed: stratum → who may stand beside whom.
        weights: resamples of people.
    """
    results: Results = {}
    for backend, scores in tables.items():
        for stratum, beside in allowed.items():
            for metric, direction, value in _evaluate(scores, beside, weights):
                by_stratum = results.setdefault(metric, {}).setdefault(direction, {})
                by_stratum.setdefault(stratum, {})[backend] = value
    return results


def chance(tables: Mapping[str, Scores], allowed: Mapping[str, Bool]) -> dict[str, Any]:
    """Return what guessing reaches: metric → direction → stratum → value (families: by member)."""
    scores = next(iter(tables.values()))
    found: dict[str, Any] = {"matching_1_2": 0.5, "auc": 0.5, "eer": 0.5}
    found["matching_1_n"] = {of: 1.0 / of for of in OF}
    for direction in DIRECTIONS:
        for stratum, beside in allowed.items():
            precision = _retrieve(scores.every, direction, beside).chance_precision
            share = _retrieve(scores.draws[0], direction, beside).chance_found.mean(axis=0)
            recall = dict(zip(FIRST, share.tolist(), strict=True))
            found.setdefault("map", {}).setdefault(direction, {})[stratum] = precision.mean()
            found.setdefault("recall_at_k", {}).setdefault(direction, {})[stratum] = recall
    return found


def _evaluate(
    scores: Scores, beside: Bool, weights: Float64
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield metric, direction and JSON of one backend and stratum."""
    n = len(beside)
    same = [verification(draw, beside, weights) for draw in scores.draws]
    area = estimate(np.mean([v.auc for v in same], axis=0), n)
    equal = estimate(np.mean([v.eer for v in same], axis=0), n)
    for direction in DIRECTIONS:
        asked = [d if direction == "v2f" else d.T for d in scores.draws]
        right = np.mean([matching(d, beside, OF, weights) for d in asked], axis=0)
        of = {
            k: estimate(values, queries_counted(beside, k))
            for k, values in zip(OF, right, strict=True)
        }
        yield "matching_1_2", direction, of[2].as_json()
        yield "matching_1_n", direction, _family(of)
        # both directions ask the same pairs
        yield "auc", direction, area.as_json()
        yield "eer", direction, equal.as_json()
        # query q of all voices, or all photos, is person q modulo n's
        precision = _retrieve(scores.every, direction, beside).precision.reshape(-1, n)
        yield "map", direction, mean_of(precision.mean(axis=0), weights).as_json()
        found = np.mean([_retrieve(d, direction, beside).found for d in scores.draws], axis=0)
        recall = {k: mean_of(found[:, i], weights) for i, k in enumerate(FIRST)}
        yield "recall_at_k", direction, _family(recall)


def _retrieve(scores: Float32, direction: str, beside: Bool) -> Retrieval:
    """Rank everybody's photos for each voice, or everybody's voices for each photo."""
    asked = scores if direction == "v2f" else scores.T
    askers, owners = (np.arange(size) % len(beside) for size in asked.shape)
    return retrieval(asked, askers, owners, beside, FIRST)


def _family(members: Mapping[int, Estimate]) -> dict[str, Any]:
    """Return the last member's JSON with all members under `by`."""
    last = members[max(members)]
    return {**last.as_json(), "by": {str(k): m.as_json() for k, m in members.items()}}
