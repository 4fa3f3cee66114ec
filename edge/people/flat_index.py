"""Exact search among unit vectors: every row is looked at, and the best are scored without error.

Few rows are scored in float32 at once; their order stands unless two of the best are within the
rounding of the sums. For more, a scan of 8-bit codes gives each row a score that is off by at most
a known bound, and every row that could still be among the best by that bound is scored again.
Without 8-bit products (`code_scan`) the scan is NumPy's, with the same result. Rows stay where they
are: in a memory-mapped file only those that are scored again are ever read.

Measured by `make bench`, which compares with FAISS's flat index on one thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..types import Float32
from .code_scan import CodeScan, integer_kernels
from .codes import Codes, encode

Rows = npt.NDArray[np.intp]
Scores = npt.NDArray[Any]  # float32 cosines, or products of codes

_FEW = 6_144  # rows below which float32 is the faster scan
_BLOCK = 16_384  # rows scanned at once: their scores stay in the cache
_GROUPS = 128  # of rows, in which the best of each is looked for first; a power of two
_ENOUGH, _MOST = 2 * _GROUPS, _GROUPS // 4  # rows from which, best up to which that is done
_PLENTY = 8  # times as many rows as are looked for: more are not worth their sorting
_SLACK = 1e-6  # covers the rounding of bounds themselves
_highest = np.maximum.reduce


class FlatIndex:
    """Vectors that can be searched. Safe to search from any thread."""

    def __init__(self, vectors: Float32, codes: Codes | None = None) -> None:
        """Take vectors, and their codes where they are kept.

        Args:
            vectors: (n, d), unit length, C-contiguous; may be a memory map.
            codes: of those vectors; by default made now, if the scan can use them.
        """
        self.vectors = vectors
        # how far two float32 sums of d products of unit vectors can be apart
        self._rounding = vectors.shape[1] * 2.0**-23 + _SLACK
        # what some more than the best reached for the query before: they do for this one, mostly
        self._likely = np.float32(2.0)
        self.codes: Codes | None = None
        self._columns: Float32 | None = None
        self._scan: CodeScan | None = None
        if len(vectors) < _FEW:
            self._columns = np.ascontiguousarray(vectors.T)  # BLAS runs along rows a little slower
        elif (kernels := integer_kernels()) is not None:
            self.codes = codes or encode(vectors)
            self._scan = CodeScan(self.codes, kernels)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.vectors)

    def nearest(self, query: Float32, top: int) -> tuple[Rows, Float32]:
        """Return the rows of the `top` highest scores, best first, and those scores.

        The score is the cosine; equal rows have equal scores, and equal scores keep the order of
        the rows.

        Args:
            query: (d,), unit length.
            top: at least 1; fewer are returned when there are fewer rows.
        """
        if self._columns is None or len(self.vectors) <= top:
            return self._best_of(self._candidates(query, top), query, top)
        scores = query.dot(self._columns)
        (rows,) = (scores >= self._likely).nonzero()
        if not top < len(rows) <= _PLENTY * top:
            likely = _reached(scores, min(2 * top + 1, len(scores)))
            (rows,) = (scores >= likely).nonzero()
            self._likely = likely
        found = scores[rows]
        order = found.argsort()[: -top - 2 : -1]
        found = found[order]  # falling, and the first that is out
        values, rounding, before = found.tolist(), self._rounding, 2.0
        if values[top - 1] - values[top] <= rounding:  # the sums leave open who is in
            (rows,) = (scores >= values[top - 1] - 2.0 * rounding).nonzero()
            return self._best_of(rows, query, top)
        rows, found = rows[order[:top]], found[:top]
        for value in values[:top]:
            if before - value <= rounding:  # they leave the order open
                rows.sort()
                return self._best_of(rows, query, top)
            before = value
        return rows, _cosines(found, values[0], before)

    def _candidates(self, query: Float32, top: int) -> Rows:
        """Return every row that can be among the best, ascending."""
        if len(self.vectors) <= top:
            return np.arange(len(self.vectors))
        if self._scan is not None:
            blocks, bound = self._scan.blocks(np.ascontiguousarray(query, np.float32))
            return _candidates(blocks, bound, top)
        return _candidates(_scan_floats(self.vectors, query), self._rounding, top)

    def _best_of(self, rows: Rows, query: Float32, top: int) -> tuple[Rows, Float32]:
        """Score rows, ascending, and return the best."""
        # not BLAS: equal rows, equal sums
        scores = np.einsum("ij,j->i", self.vectors.take(rows, 0), query)
        order = np.negative(scores).argsort(kind="stable")[:top]
        found = scores[order]
        if not len(found):
            return rows, found
        return rows[order], _cosines(found, found.item(0), found.item(-1))


def _cosines(scores: Float32, first: float, last: float) -> Float32:
    """Take away what rounding adds beyond ±1 to falling scores, with those at both ends."""
    if first > 1.0 or last < -1.0:
        return np.minimum(np.maximum(scores, -1.0), 1.0)
    return scores


def _scan_floats(vectors: Float32, query: Float32) -> Iterator[tuple[int, Scores]]:
    for start in range(0, len(vectors), _BLOCK):
        yield start, vectors[start : start + _BLOCK] @ query


def _candidates(blocks: Iterable[tuple[int, Scores]], bound: float, top: int) -> Rows:
    """Return every row that can be among the best, ascending.

    Args:
        blocks: first row of each and its scores.
        bound: how far a score can be off.
        top: how many are looked for.
    """
    found: list[Rows] = []
    kept = np.empty(0)
    least = -np.inf
    for start, block in blocks:
        if len(kept) < top <= len(block):
            least = _reached(block, top).item() - 2 * bound
        elif block.max() < least:
            continue
        rows = (block >= least).nonzero()[0]
        if start == 0:
            found, kept = [rows], block.take(rows)
            continue
        found.append(rows + start)
        kept = np.concatenate([kept, block.take(rows)])
        if len(kept) >= top:
            least = _reached(kept, top).item() - 2 * bound
            stay = kept >= least
            found, kept = [np.concatenate(found)[stay]], kept[stay]
    return np.concatenate(found)


def _reached(scores: Scores, top: int) -> Any:
    """Return what at least `top` scores reach, the best `top` or not many more."""
    if len(scores) < _ENOUGH or top > _MOST:
        return np.partition(scores, len(scores) - top)[len(scores) - top]
    # neighbours, who are often alike, are in different groups
    peaks = _highest(scores[: len(scores) & -_GROUPS].reshape(-1, _GROUPS), 0)
    peaks.sort()
    return peaks[-top]
