"""How often unknown speakers get a name, and known ones theirs, on people no network has seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edge.manifest import DecisionInfo
from edge.people.decision import Line, evidence, law_of
from edge.people.person import KINDS, Kind

from .calibration import DRAWN, GALLERIES, Population
from .open_set import detection, run_trials

SIZES = (10, 100, 1000)
GALLERY_SPAN = (0.05, 0.95)  # nine galleries in ten
CURVE = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True, slots=True)
class OpenSetFigure:
    """One kind of samples, one size of gallery."""

    kind: Kind
    people: int  # in the gallery
    asked: float  # false-match rate
    false_rate: float  # measured: utterances of unknown speakers that are named
    gallery_rates: tuple[float, float]  # the same in single galleries: 5th and 95th percentile
    detection: float  # utterances of known speakers that are named rightly
    mistaken: float  # utterances of known speakers that are given another's name
    right: float  # of known speakers the best match is right, named or not
    probability: float  # mean of what is stated for known and unknown speakers, half and half
    curve: tuple[tuple[float, float], ...]  # false-alarm rate, detection-and-identification rate


def open_set_figures(
    info: DecisionInfo, population: Population, seed: int, asked: float = 0.01
) -> list[OpenSetFigure]:
    """Measure the lines of a bundle on a split that calibration has not seen: "test".

    Args:
        info: of the bundle.
        population: the split as `calibration.embed_split` returns it.
        seed: of the galleries.
        asked: the false-match rate that a user asks for.
    """
    rng = np.random.default_rng([seed, 72])
    return [figure for kind in KINDS for figure in _figures(info, population, kind, asked, rng)]


def table(figures: list[OpenSetFigure]) -> Iterator[str]:
    """Yield a Markdown table."""
    titles = (
        "enrolled by", "gallery", "unknown named", "in one gallery", "known named", "wrongly",
        "best is right",
    )  # fmt: skip
    yield f"| {' | '.join(titles)} |"
    yield "|---" * len(titles) + "|"
    for figure in figures:
        yield (
            f"| {figure.kind} | {figure.people} | {figure.false_rate:.2%} "
            f"| {_span(figure.gallery_rates)} "
            f"| {figure.detection:.1%} | {figure.mistaken:.1%} | {figure.right:.1%} |"
        )


def _span(rates: tuple[float, float]) -> str:
    return " to ".join(f"{rate:.1%}" for rate in rates)


def _figures(
    info: DecisionInfo,
    population: Population,
    kind: Kind,
    asked: float,
    rng: np.random.Generator,
) -> Iterator[OpenSetFigure]:
    queries, enrolled = population.queries, population.enrolled[kind]
    angles = population.cohort.angles(queries.vectors, kind)
    strangers = len(enrolled.without(queries.owners).owners)
    for size in (size for size in SIZES if size <= strangers):
        trials = run_trials(queries, enrolled, size, max(GALLERIES, DRAWN // size), rng)
        line = Line(law_of(info, kind), info.rates, size, asked)
        unknown, known = evidence(trials.unknown, angles), evidence(trials.known, angles)
        named = known >= line.asked
        rates = detection(unknown, known, trials.right, CURVE)
        false_names = unknown >= line.asked
        low, high = np.quantile(false_names.mean(axis=1), GALLERY_SPAN)
        yield OpenSetFigure(
            kind,
            size,
            asked,
            float(false_names.mean()),
            (float(low), float(high)),
            float((trials.right & named).mean()),
            float((~trials.right & named).mean()),
            float(trials.right.mean()),
            float(np.mean([line.probability(unknown).mean(), line.probability(known).mean()])),
            tuple(zip(CURVE, rates, strict=True)),
        )
