"""How often unknown speakers get a name, and known ones theirs, on people no network has seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edge.manifest import DecisionInfo
from edge.people.decision import Line, law_of
from edge.people.person import KINDS, Kind

from .backends import Backend
from .calibration import DRAWN, GALLERIES, embed_split, evidence
from .open_set import Labelled, detection, run_trials
from .population.people import Split
from .training.dataset import Dataset

SIZES = (10, 100, 1000)
CURVE = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True, slots=True)
class OpenSetFigure:
    """One kind of samples, one size of gallery."""

    kind: Kind
    people: int  # in the gallery
    asked: float  # false-match rate
    false_rate: float  # measured: utterances of unknown speakers that are named
    detection: float  # utterances of known speakers that are named rightly
    right: float  # of known speakers the best match is right, named or not
    probability: float  # mean of what is stated for known and unknown speakers, half and half
    curve: tuple[tuple[float, float], ...]  # false-alarm rate, detection-and-identification rate


def open_set_figures(
    data: Dataset,
    backend: Backend,
    info: DecisionInfo,
    seed: int,
    asked: float = 0.01,
    split: Split = "test",
) -> list[OpenSetFigure]:
    """Measure the lines of a bundle on a split.

    Args:
        data: of the work folder.
        backend: runs the bundle's models.
        info: of that bundle.
        seed: of the galleries.
        asked: the false-match rate that a user asks for.
        split: whose speakers are heard; calibration has seen "validation".
    """
    photos, voices, queries = embed_split(data, backend, split)
    rng = np.random.default_rng([seed, 72])
    enrolled = {"photo": photos, "voice": voices}
    return [
        figure
        for kind in KINDS
        for figure in _figures(info, kind, queries, enrolled[kind], asked, rng)
    ]


def table(figures: list[OpenSetFigure]) -> Iterator[str]:
    """Yield a Markdown table."""
    yield "| enrolled by | gallery | unknown named | known named rightly | best is right |"
    yield "|---|---|---|---|---|"
    for figure in figures:
        yield (
            f"| {figure.kind} | {figure.people} | {figure.false_rate:.2%} "
            f"| {figure.detection:.1%} | {figure.right:.1%} |"
        )


def _figures(
    info: DecisionInfo,
    kind: Kind,
    queries: Labelled,
    enrolled: Labelled,
    asked: float,
    rng: np.random.Generator,
) -> Iterator[OpenSetFigure]:
    strangers = int(np.isin(enrolled.owners, queries.owners, invert=True).sum())
    for size in SIZES:
        if size > strangers:
            continue
        trials = run_trials(queries, enrolled, size, max(GALLERIES, DRAWN // size), rng)
        line = Line(law_of(info, kind), info.rates, size, asked)
        unknown, known = (evidence(x, line.weight) for x in (trials.unknown, trials.known))
        rates = detection(unknown, known, trials.right, CURVE)
        yield OpenSetFigure(
            kind,
            size,
            asked,
            float((unknown >= line.asked).mean()),
            float((trials.right & (known >= line.asked)).mean()),
            float(trials.right.mean()),
            float(np.mean([line.probability(unknown).mean(), line.probability(known).mean()])),
            tuple(zip(CURVE, rates, strict=True)),
        )
