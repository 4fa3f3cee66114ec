"""Embeddings by the names that lists call them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.types import Float32

from ..metrics import unit

Rows = npt.NDArray[np.intp]
ABSENT = -1  # row of a name without an embedding


@dataclass(frozen=True, slots=True)
class Vectors:
    """Unit embeddings and their names."""

    row: Mapping[str, int]  # name → row of `values`
    values: Float32  # (n, d), unit length

    def rows_of(self, names: Iterable[str]) -> Rows:
        """Return the rows of names, `ABSENT` where there is none."""
        return np.array([self.row.get(name, ABSENT) for name in names], np.intp)


def vectors_of(names: Sequence[str], values: Float32) -> Vectors:
    """Return embeddings as unit ones.

    Args:
        names: of the rows.
        values: (n, d), of any length; a row of NaN has no embedding.
    """
    there = np.flatnonzero(~np.isnan(values).any(axis=1))
    return Vectors({names[row]: i for i, row in enumerate(there)}, unit(values[there]))
