"""Where the points between the encoders and the ideal observer are lost: one table.

The ideal observer of the sound (population/oracle.py) knows every photo and every voice exactly.
Here it is told instead what can be read in the shared embedding, one quantity at a time, and loses
what the encoder that embedded it lost. Read by a ridge regression on the embedding and its squares,
learnt on the training split.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.audio.logmel import LogMelSpec
from edge.types import Float32

from .ablation import FIGURES
from .metrics import Float64, correlation, everybody, matching_of_scores, unit
from .population.law import Person
from .population.oracle import acoustic_scores
from .recipe import Recipe
from .report.protocols import strata
from .training.dataset import Dataset, load_dataset
from .training.model import Encoders

RIDGE = 1.0
SQUARES = 3.0  # weight of the squares beside the embedding itself
PHOTO = 1  # which photo of each person, as in a report's first draw
INTRODUCTION = """# Where the points below the ideal observer are lost

1:2 matching on {people} people of the test split, one photo and all clips of each: v2f voice →
face, f2v face → voice, U anybody, G one sex. The ideal observer knows what every voice was made
from and what every face shows. In each row it is told instead what a linear reader finds of one
quantity in the embedding and its squares, so a row loses what the encoder did not see or did not
keep; "read" is the correlation of what was read with the truth. Nobody reads the sex a face shows,
the sex of whoever was recorded and whether a voice trembles: these it knows in every row.

Made by `earsight-convert shortfall --work WORK --out docs/shortfall.md`.

"""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity of a person that the ideal observer uses."""

    field: str  # of Person
    title: str
    lowest: float  # what is read is kept within the law's limits
    highest: float
    logarithm: bool = False  # read on a logarithmic scale


FACE = (
    Quantity("face_years", "years of the face", 2.0, 97.0),
    Quantity("size", "size of the face", -4.0, 4.0),
)
VOICE = (
    Quantity("f0_hz", "F0", 72.0, 380.0, logarithm=True),
    Quantity("vtl_cm", "vocal tract", 9.5, 20.5, logarithm=True),
    Quantity("breathiness", "breathiness", 0.0, 0.9),
    Quantity("tempo", "tempo", 0.65, 1.3),
    Quantity("jitter", "jitter", 0.001, 0.045, logarithm=True),
    Quantity("shimmer_db", "shimmer", 0.08, 2.5, logarithm=True),
    Quantity("f0_sd_st", "melody", 0.9, 5.0),
)


def measure_shortfall(recipe: Recipe, work: Path) -> str:
    """Measure trained encoders; returns the table, Markdown.

    Args:
        recipe: the one `work` was built from.
        work: a work folder with trained encoders.
    """
    from .training.encoders import load_encoders

    data = load_dataset(work, recipe.population)
    encoders = load_encoders(data, LogMelSpec(), recipe.training, work / "encoders")
    people, voices, faces = {}, {}, {}
    for split in ("train", "test"):
        rows = data.rows("paired", split)
        people[split] = [data.people[row] for row in rows]
        voices[split] = _heard_together(data, encoders, rows)
        faces[split] = unit(encoders.embed_faces(_photos(data, rows)))
    truth = people["test"]
    read = {
        quantity: read_quantity(quantity, people["train"], embedded["train"], embedded["test"])
        for quantities, embedded in ((FACE, faces), (VOICE, voices))
        for quantity in quantities
    }
    figures = _figures_of(voices["test"] @ faces["test"].T, truth)
    lines = [*table(truth, read), _line("the encoders", "", figures)]
    return INTRODUCTION.format(people=len(truth)) + "\n".join(lines) + "\n"


def read_quantity(
    quantity: Quantity, taught: Sequence[Person], known: Float32, heard: Float32
) -> Float64:
    """Return what a ridge regression reads of a quantity, (n,), in the quantity's own unit.

    Args:
        quantity: what is read.
        taught: people whose quantity it learns from.
        known: their unit embeddings (m, d).
        heard: the unit embeddings (n, d) it reads.
    """
    wanted = _scaled(quantity, taught)
    x, mean = _with_squares(known), wanted.mean()
    slope = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ (wanted - mean))
    found = _with_squares(heard) @ slope + mean
    found = np.exp(found) if quantity.logarithm else found
    return np.asarray(np.clip(found, quantity.lowest, quantity.highest))


def table(people: Sequence[Person], read: Mapping[Quantity, Float64]) -> Iterator[str]:
    """Yield the lines of the table: the ideal observer told each quantity as read, then all.

    Args:
        people: who is matched, n of them.
        read: what was read of each quantity, (n,).
    """
    yield f"| the ideal observer knows | read | {' | '.join(FIGURES)} |"
    yield "|---" * (2 + len(FIGURES)) + "|"
    yield _line("everything", "", _figures_of(acoustic_scores(people), people))
    for quantity, values in read.items():
        truth = _scaled(quantity, people)
        found = np.log(values) if quantity.logarithm else values
        fits = correlation(found, truth, everybody(len(people)))[0]
        scores = _scores(people, {quantity: values})
        yield _line(f"the {quantity.title} as read", f"{fits:.2f}", _figures_of(scores, people))
    for title, some in (("faces", FACE), ("voices", VOICE), ("both", (*FACE, *VOICE))):
        scores = _scores(people, {quantity: read[quantity] for quantity in some})
        yield _line(f"all of {title} as read", "", _figures_of(scores, people))


def _scores(people: Sequence[Person], read: Mapping[Quantity, Float64]) -> Float32:
    """Return the ideal observer's scores where some quantities are what was read."""

    def told(quantities: Sequence[Quantity]) -> list[Person]:
        values: dict[str, Any] = {q.field: read[q].tolist() for q in quantities if q in read}
        return [
            dataclasses.replace(person, **{field: v[i] for field, v in values.items()})
            for i, person in enumerate(people)
        ]

    return acoustic_scores(told(FACE), told(VOICE))


def _figures_of(scores: Float32, people: Sequence[Person]) -> list[float]:
    """Return `FIGURES` of scores (n, n) of voice i for face j."""
    beside = strata(people)
    return [
        matching_of_scores(asked, beside[stratum])
        for asked in (scores, scores.T)
        for stratum in ("U", "G")
    ]


def _line(title: str, fits: str, figures: Sequence[float]) -> str:
    return f"| {title} | {fits} | {' | '.join(f'{figure:.3f}' for figure in figures)} |"


def _scaled(quantity: Quantity, people: Sequence[Person]) -> Float64:
    values = np.array([getattr(person, quantity.field) for person in people], np.float64)
    return np.log(values) if quantity.logarithm else values


def _with_squares(embeddings: Float32) -> Float64:
    x = np.asarray(embeddings, np.float64)
    return np.concatenate([x, SQUARES * x**2], axis=1)


def _heard_together(data: Dataset, encoders: Encoders, rows: Any) -> Float32:
    """Return one unit embedding per person: the mean of those of all clean clips, (n, d)."""
    clips = np.concatenate([data.clips_of[row] for row in rows])
    counts = [len(data.clips_of[row]) for row in rows]
    each = unit(encoders.embed_voices(data.codes[clips, 0]))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return unit(np.add.reduceat(each, starts, axis=0))


def _photos(data: Dataset, rows: Any) -> Any:
    found = [pictures for pictures in (data.pictures[row] for row in rows) if pictures is not None]
    return np.array([pictures[PHOTO] for pictures in found])
