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
Float64 = npt.NDArray[np.float64]


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

    def without(self, owners: Ints) -> Labelled:
        """Return the rows of everybody else."""
        rows = np.isin(self.owners, owners, invert=True)
        return Labelled(self.vectors[rows], self.owners[rows])


@dataclass(frozen=True, slots=True)
class Trials:
    """What galleries of one size gave: a row for each gallery, a column for each utterance."""

    size: int  # people in each gallery
    unknown: Float32  # (galleries, utterances): the highest cosine of strangers
    known: Float32  # the same with the speaker in the gallery
    right: Bools  # whether the highest of `known` is the speaker's


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
    strangers = np.flatnonzero(~np.isin(enrolled.owners, queries.owners))
    if len(strangers) < size:
        raise ValueError(f"{len(strangers)} strangers cannot fill a gallery of {size}")
    scores = enrolled.vectors @ unit(queries.vectors).T  # a row for each of the enrolled
    place = {int(owner): row for row, owner in enumerate(enrolled.owners)}
    own = scores[[place[int(owner)] for owner in queries.owners], np.arange(len(queries.owners))]
    unknown, others = [], []
    for _ in range(galleries):
        drawn = scores[rng.choice(strangers, size, replace=False)]
        rest = drawn[1:].max(axis=0, initial=-1.0)  # the speaker takes the first one's place
        others.append(rest)
        unknown.append(np.maximum(rest, drawn[0]))
    return Trials(
        size, np.array(unknown), np.maximum(np.array(others), own), own > np.array(others)
    )


def detection(
    unknown: Float64, known: Float64, right: Bools, rates: Sequence[float]
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
