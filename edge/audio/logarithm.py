"""A natural logarithm that is the same to the last bit on every processor.

NumPy's own uses whatever vector library it was built with, and those differ in the last bits. Here
it is a table and a short polynomial, in element-wise float64 operations that IEEE 754 leaves one
result each.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

_CELLS = 1024  # of the mantissa's range 0.5 .. 1; the polynomial then stays below 1e-18
_GRID = 2.0**40  # tables are rounded to this grid, far above a maths library's own last bit


def exact_log(values: npt.NDArray[np.float32] | Float64) -> Float64:
    """Return ln of positive, finite, normal values, (...) float64, to 1e-11."""
    mantissa, exponent = np.frexp(np.asarray(values, np.float64))
    cell = (mantissa * (2 * _CELLS)).astype(np.int64) - _CELLS
    centre, logarithm, ln_2 = _tables()
    rest = mantissa / centre.take(cell) - 1.0
    series = rest * (1.0 - rest * (1 / 2 - rest * (1 / 3 - rest * (1 / 4 - rest * (1 / 5)))))
    result: Float64 = exponent * ln_2 + (logarithm.take(cell) + series)
    return result


@lru_cache(maxsize=1)
def _tables() -> tuple[Float64, Float64, float]:
    """Return the middle of every cell, its logarithm, and ln 2."""
    centre = (np.arange(_CELLS) + _CELLS + 0.5) / (2 * _CELLS)
    logarithm = np.round(np.log(centre) * _GRID) / _GRID
    return centre, logarithm, float(np.round(np.log(2.0) * _GRID) / _GRID)
