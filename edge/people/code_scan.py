"""Scores of 8-bit codes with a query, and how far they can be off the cosines.

NumKong, which SimSIMD became, multiplies whole matrices of 8-bit integers in a fraction of the time
that float32 takes. Few rows are laid out anew for it, which is three times as fast; many are read
as they are, from a memory map too, because then memory is what limits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from types import ModuleType

import numpy as np
import numpy.typing as npt

from ..types import Float32, Int8
from .codes import LARGEST_CODE, Codes

Products = npt.NDArray[np.int32]

_PACKED = 32_768  # rows up to which they are laid out anew; beyond, as fast without, by measurement
_WHOLE = 16  # rows come in as many: others take up to 1.7 times as long with NumKong 7.8
_BLOCK = 16_384  # rows scanned at once beyond: their scores stay in the cache
_SLACK = 1e-6  # covers the rounding of the bound itself


def integer_kernels() -> ModuleType | None:
    """Return NumKong; None without it, and where the processor has no products of 8-bit integers.

    Every x86 of the last ten years has them, and ARM from 8.2 on: a Raspberry Pi 5, not a 4, where
    NumKong's portable code would be one product at a time.
    """
    try:
        import numkong
    except ImportError:
        return None
    has = numkong.get_capabilities()
    return numkong if has.get("haswell") or has.get("neonsdot") else None


class CodeScan:
    """Looks at every row's code. Safe to use from any thread."""

    def __init__(self, codes: Codes, kernels: ModuleType) -> None:
        """Lay few rows out for NumKong; they take their size in memory once more."""
        self._codes, self._kernels = codes, kernels
        self._packed = None
        if len(codes.values) <= _PACKED:
            missing = -len(codes.values) % _WHOLE
            self._packed = kernels.dots_pack(np.pad(codes.values, ((0, missing), (0, 0))))
        self._step = np.float32(codes.step)

    def blocks(self, query: Float32) -> tuple[Iterable[tuple[int, Products]], int]:
        """Return first row and scores of each block, and how far a score can be off, upwards.

        Both are in the same unit, in which a cosine of 1 is about LARGEST_CODE² or more. With
        x = step × c + e and q = s × k + r, |q·x - s × step × k·c| ≤ |q| |e| + |r| |step × c|
        (Cauchy-Schwarz), and |step × c| ≤ 1 + |e|.

        Args:
            query: (d,) float32, unit length, C-contiguous.
        """
        step = self._step  # the rows' own fits most queries
        codes, error = _quantize(query, step)
        if error > 0.51 * float(step) * math.sqrt(query.size):  # a value too large for a code
            step = np.float32(np.abs(query).max() / LARGEST_CODE)
            codes, error = _quantize(query, step)
        bound = self._codes.error + error * (1.0 + self._codes.error) + _SLACK
        unit = float(step) * self._codes.step
        bound = math.ceil(bound / unit)
        if self._packed is None:
            return self._scan(codes[None]), bound
        found = np.asarray(self._kernels.dots_packed(codes[None], self._packed))
        return ((0, found[0, : len(self._codes.values)]),), bound

    def _scan(self, query: Int8) -> Iterator[tuple[int, Products]]:
        packed = self._kernels.dots_pack(query)
        values = self._codes.values
        for start in range(0, len(values), _BLOCK):
            found = self._kernels.dots_packed(values[start : start + _BLOCK], packed)
            yield start, np.asarray(found).reshape(-1)


def _quantize(query: Float32, step: np.float32) -> tuple[Int8, float]:
    """Return codes (d,) and how far step × codes is from the query."""
    codes = np.rint(query / step).astype(np.int8)
    rest = query - codes * step
    return codes, math.sqrt(float(rest.dot(rest)))
