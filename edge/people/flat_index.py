"""Exact search among unit vectors: every row is looked at, and the best are scored without error.

A scan gives each row a score that is off by at most a known bound; every row that could still be
among the best by that bound is scored again, exactly. The scan reads 8-bit codes through SimSIMD
where it is installed, a quarter of the memory that limits it, else float32 through BLAS; both give
the same result. Rows stay where they are: in a memory-mapped file only those that are scored again
are ever read.

Measured by `make bench`, which compares with FAISS's flat index on one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from ..types import Float32, Int8
from .codes import LARGEST_CODE, Codes, encode

Rows = npt.NDArray[np.intp]
Scan = Iterator[tuple[int, Float32]]  # first row of a block, its scores
Dots = Callable[[Int8, Int8], Float32]  # (d,), (n, d) → (n,)

_BLOCK = 16_384  # rows scanned at once: their scores stay in the cache
_FEW = 256  # rows up to which all are scored exactly at once
_MANY = 4_096  # rows from which on codes are worth their making
_SLACK = 1e-6  # covers the rounding of bounds themselves


class FlatIndex:
    """Vectors that can be searched. Safe to search from any thread."""

    def __init__(self, vectors: Float32, codes: Codes | None = None) -> None:
        """Take vectors, and their codes where they are kept.

        Args:
            vectors: (n, d), unit length, C-contiguous; may be a memory map.
            codes: of those vectors; by default made now, if the scan can use them.
        """
        self.vectors = vectors
        self._dots = integer_dots() if len(vectors) >= _MANY else None
        self.codes = codes if codes is not None or self._dots is None else encode(vectors)

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
        if len(self) <= max(_FEW, top):
            rows = np.arange(len(self))
        else:
            rows = self._candidates(np.ascontiguousarray(query, np.float32), top)
        scores = (self.vectors[rows] * query).sum(axis=1)  # not BLAS: equal rows, equal sums
        order = np.lexsort((rows, -scores))[:top]
        return rows[order], np.minimum(np.maximum(scores[order], -1.0), 1.0)

    def _candidates(self, query: Float32, top: int) -> Rows:
        """Return every row that can be among the best, ascending."""
        if self._dots is None or self.codes is None:
            bound = query.size * 2.0**-23 + _SLACK  # of a float32 sum of d products of unit vectors
            scan = _scan_floats(self.vectors, query)
        else:
            scan, bound = _scan_codes(self.codes, self._dots, query)
        rows, scores, least = np.empty(0, np.intp), np.empty(0, np.float32), -np.inf
        for start, block in scan:
            if len(rows) >= top:
                if float(block.max()) < least:
                    continue
            elif len(block) >= top:
                least = _best(block, top) - 2.0 * bound
            found = np.flatnonzero(block >= least)
            rows = np.concatenate([rows, found + start])
            scores = np.concatenate([scores, block[found]])
            if start and len(rows) >= top:
                least = _best(scores, top) - 2.0 * bound
                stay = scores >= least
                rows, scores = rows[stay], scores[stay]
        return rows


def _best(scores: Float32, top: int) -> float:
    """Return the score at a place, counted from the best."""
    return float(np.partition(scores, len(scores) - top)[-top])


def integer_dots() -> Dots | None:
    """Return SimSIMD's products of one row of codes with many, exact; None without the package.

    SimSIMD (Vardanian, 2023) has kernels for AVX2, AVX-512 and NEON and picks one by itself.
    """
    try:
        import simsimd
    except ImportError:
        return None

    def dots(one: Int8, many: Int8) -> Float32:
        # not with `out`: it then returns None without counting the reference (6.5.16)
        found = np.asarray(simsimd.cdist(one[None], many, metric="dot", out_dtype="f32"))
        row: Float32 = found[0]
        return row

    return dots


def _scan_floats(vectors: Float32, query: Float32) -> Scan:
    for start in range(0, len(vectors), _BLOCK):
        yield start, vectors[start : start + _BLOCK] @ query


def _scan_codes(codes: Codes, dots: Dots, query: Float32) -> tuple[Scan, float]:
    """Return a scan in units of the cosine, and how far it can be off.

    With x = step × c + e and q = s × k + r, |q·x - s × step × k·c| ≤ |q| |e| + |r| |step × c|
    (Cauchy-Schwarz), and |step × c| ≤ 1 + |e|.
    """
    step = max(float(np.abs(query).max()), 1e-9) / LARGEST_CODE
    own = np.rint(query / np.float32(step))
    rest = float(np.linalg.norm(query - own * np.float32(step)))
    bound = codes.error + rest * (1.0 + codes.error) + _SLACK
    scale = np.float32(step * codes.step)

    def scan() -> Scan:
        few = own.astype(np.int8)
        for start in range(0, len(codes.values), _BLOCK):
            yield start, dots(few, codes.values[start : start + _BLOCK]) * scale

    return scan(), bound
