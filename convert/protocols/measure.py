"""The papers' figures over their lists: matching, verification, retrieval (section 9).

The score of a voice and a face is the cosine of their embeddings. A line that names a file without
an embedding is left out and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from edge.errors import InputError
from edge.types import Float32

from ..metrics import Bool, chance_precision
from .lists import ListFile, halves, rows
from .vectors import ABSENT, Rows, Vectors

CHUNK = 8192  # lines scored at a time
QUERIES = 256  # ranked at a time


@dataclass(frozen=True, slots=True)
class Figure:
    """What one list gave."""

    listed: ListFile
    value: float  # share of right choices, area under the ROC curve, mean average precision
    chance: float  # what guessing reaches
    counted: int  # lines, or queries
    skipped: int  # for want of an embedding


def measure(
    listed: ListFile, vectors: Vectors, person_of: Mapping[str, str], quiet: bool = False
) -> Figure:
    """Return a list's figure.

    Args:
        listed: the list.
        vectors: of the files it names.
        person_of: folder of a voice or a face → person.
        quiet: show no progress.

    Raises:
        InputError: a line is damaged, names somebody unknown, or nothing can be counted.
    """
    if listed.task == "match":
        return _match(listed, vectors)
    if listed.task == "verify":
        return _verify(listed, vectors, person_of)
    return _retrieve(listed, vectors, person_of, quiet)


def person(name: str, person_of: Mapping[str, str], listed: ListFile) -> str:
    """Return whose a file is.

    Raises:
        InputError: the tables of identities do not know its folder.
    """
    folder = name.split("/", 1)[0]
    if folder not in person_of:
        raise InputError(f"{listed.path}: '{folder}' is in none of the tables vox1_*.csv")
    return person_of[folder]


def area_under_roc(scores: Float32, same: Bool) -> float:
    """Return the chance that a pair of the same person scores higher than another; ties half."""
    wrong = np.sort(scores[~same])
    right = scores[same]
    below = np.searchsorted(wrong, right, "left") + np.searchsorted(wrong, right, "right")
    return float(below.mean() / (2.0 * len(wrong)))


def average_precision(scores: Float32, relevant: Bool) -> npt.NDArray[np.float64]:
    """Return the average precision (q,) of queries that look for the same person.

    Args:
        scores: (q, g).
        relevant: (g,), the items of that person; one at least. An item is ranked behind those with
            a higher score and half of the others with the same.
    """
    own = -np.sort(-scores[:, relevant], axis=1)
    others = np.sort(scores[:, ~relevant], axis=1)
    found = np.empty(len(scores))
    place = np.arange(1, own.shape[1] + 1)
    for i, (mine, rest) in enumerate(zip(own, others, strict=True)):
        low, high = (np.searchsorted(rest, mine, side) for side in ("left", "right"))
        rank = place + len(rest) - high + 0.5 * (high - low)
        found[i] = (place / rank).mean()
    return found


def _match(listed: ListFile, vectors: Vectors) -> Figure:
    right, counted, lines = 0.0, 0, 0
    for chunk in _chunks(listed):
        table = np.stack([vectors.rows_of(row) for row in chunk])
        known = table[(table != ABSENT).all(axis=1)]
        values = vectors.values[known]
        scores = np.einsum("nd,ncd->nc", values[:, 0], values[:, 1:])
        best = scores == scores.max(axis=1, keepdims=True)
        right += float((best[:, 0] / best.sum(axis=1)).sum())  # of several best, one by chance
        counted, lines = counted + len(known), lines + len(table)
    return _figure(listed, right, counted, lines, 1.0 / listed.of)


def _verify(listed: ListFile, vectors: Vectors, person_of: Mapping[str, str]) -> Figure:
    scores, labels, lines = [], [], 0
    for chunk in _chunks(listed):
        table = np.stack([vectors.rows_of(row) for row in chunk])
        known = (table != ABSENT).all(axis=1)
        anchors, candidates = vectors.values[table[known].T]
        scores.append(np.einsum("nd,nd->n", anchors, candidates))
        whose = [[person(name, person_of, listed) for name in row] for row in chunk]
        labels.append(np.array([a == b for a, b in whose])[known])
        lines += len(table)
    every = np.concatenate(scores) if scores else np.zeros(0, np.float32)
    same = np.concatenate(labels) if labels else np.zeros(0, bool)
    if not same.any() or same.all():
        raise InputError(f"{listed.path}: pairs of the same and of different people are needed")
    return Figure(listed, area_under_roc(every, same), 0.5, len(same), lines - len(same))


def _retrieve(
    listed: ListFile, vectors: Vectors, person_of: Mapping[str, str], quiet: bool
) -> Figure:
    from tqdm import tqdm

    queries, gallery = halves(listed)
    owners = np.array([person(name, person_of, listed) for name in gallery])
    there = vectors.rows_of(gallery)
    owners, shown = owners[there != ABSENT], vectors.values[there[there != ABSENT]].T
    asked: dict[str, list[int]] = {}
    for name, row in zip(queries, vectors.rows_of(queries), strict=True):
        if row != ABSENT:
            asked.setdefault(person(name, person_of, listed), []).append(int(row))
    precisions, guessed = [], 0.0
    with tqdm(total=len(queries), desc=listed.path.stem, unit="query", disable=quiet) as bar:
        for who, mine in asked.items():
            relevant = owners == who
            if not relevant.any():
                continue
            for block in _blocks(np.array(mine, np.intp)):
                precisions.append(average_precision(vectors.values[block] @ shown, relevant))
                bar.update(len(block))
            guessed += len(mine) * chance_precision(len(owners), int(relevant.sum()))
    counted = sum(map(len, precisions))
    total = float(sum(values.sum() for values in precisions))
    return _figure(listed, total, counted, len(queries), guessed / max(counted, 1))


def _figure(listed: ListFile, total: float, counted: int, lines: int, chance: float) -> Figure:
    if not counted:
        raise InputError(f"{listed.path}: nothing to count; its files are missing")
    return Figure(listed, total / counted, chance, counted, lines - counted)


def _chunks(listed: ListFile) -> Iterator[list[tuple[str, ...]]]:
    lines = rows(listed)
    while chunk := list(islice(lines, CHUNK)):
        yield chunk


def _blocks(mine: Rows) -> Iterator[Rows]:
    for start in range(0, len(mine), QUERIES):
        yield mine[start : start + QUERIES]
