"""Open-set identification: who is it among N, or nobody of them? Trials and their figures.

A trial is one utterance against one gallery of N people. Of an unknown speaker any name is a false
alarm; of a known one the right name is a detection. The curve of detection-and-identification rate
against false-alarm rate is that of the watch list (Grother, Ngan, Hanaoka: NISTIR 8271, section 3;
Phillips, Grother, Micheals: Handbook of Face Recognition, chapter 21).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.types import Float32

from .metrics import unit

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Embeddings of one kind and whose they are."""

    vectors: Float32  # (n, d)
    owners: Ints  # (n,)

    def centres(self) -> Labelled:
        """Return one row for each owner, the normalised mean of theirs, by rising owner."""
        owners, positions = np.unique(self.owners, return_inverse=True)
        sums = np.zeros((len(owners), self.vectors.shape[1]))
        np.add.at(sums, positions, unit(self.vectors))
        return Labelled(unit(sums.astype(np.float32)), owners.astype(np.int64))


@dataclass(frozen=True, slots=True)
class Trials:
    """What galleries of one size gave: a row for each gallery, a column for each utterance."""

    size: int  # people in each gallery
    speakers: Ints  # (utterances,)
    unknown: Float32  # (galleries, utterances, 2): the two highest scores of strangers
    known: Float32  # (galleries, utterances, 2): the same with the speaker in the gallery
    right: Bools  # (galleries, utterances): the highest of `known` is the speaker's


def run_trials(
    queries: Labelled, enrolled: Labelled, size: int, galleries: int, rng: np.random.Generator
) -> Trials:
    """Compare utterances with random galleries.

    Args:
        queries: utterances; every speaker among `enrolled` too.
        enrolled: one row for each person.
        size: people in a gallery; at most as many as there are strangers.
        galleries: how many are drawn.
        rng: draws them.
    """
    speakers = np.unique(queries.owners)
    strangers = np.flatnonzero(~np.isin(enrolled.owners, speakers))
    if len(strangers) < size:
        raise ValueError(f"{len(strangers)} strangers cannot fill a gallery of {size}")
    scores = enrolled.vectors @ unit(queries.vectors).T  # a row for each of the enrolled
    place = {int(owner): row for row, owner in enumerate(enrolled.owners)}
    own = scores[[place[int(owner)] for owner in queries.owners], np.arange(len(queries.owners))]
    unknown, known, right = [], [], []
    for _ in range(galleries):
        drawn = scores[rng.choice(strangers, size, replace=False)]
        replaced = drawn[0].copy()  # the stranger whose place the speaker takes
        first, second, third = _highest_three(drawn)
        unknown.append((first, second))
        best = np.where(replaced == first, second, first)
        other = np.where(replaced >= second, third, second)
        right.append(own > best)
        known.append((np.maximum(own, best), np.maximum(np.minimum(own, best), other)))
    return Trials(
        size,
        queries.owners,
        np.moveaxis(np.array(unknown, np.float32), 1, 2),
        np.moveaxis(np.array(known, np.float32), 1, 2),
        np.array(right),
    )


def detection(
    unknown: Float32, known: Float32, right: Bools, rates: Sequence[float]
) -> list[float]:
    """Return the detection-and-identification rate at each false-alarm rate.

    Args:
        unknown: evidence for the best match of unknown speakers, any shape.
        known: of known speakers.
        right: of the shape of `known`, whether the best match is the speaker.
        rates: false-alarm rates, 0..1.
    """
    lines = np.quantile(unknown, [1.0 - rate for rate in rates])
    return [float((right & (known > line)).mean()) for line in lines]


def _highest_three(scores: Float32) -> tuple[Float32, Float32, Float32]:
    """Return the three highest of each column; overwrites the array.

    Where there is no second or third it is -1, the least cosine: somebody alone in a gallery leads
    by as much as can be.
    """
    columns = np.arange(scores.shape[1])
    found = []
    for place in range(3):
        if place < len(scores):
            rows = scores.argmax(axis=0)
            found.append(scores[rows, columns].copy())
            scores[rows, columns] = -2.0
        else:
            found.append(np.full(scores.shape[1], -1.0, np.float32))
    return found[0], found[1], found[2]
