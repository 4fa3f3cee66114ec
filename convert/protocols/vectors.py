"""Embeddings by the names that lists call them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


def vectors_of(found: Mapping[str, Float32]) -> Vectors:
    """Return embeddings of any length as unit ones.

    Args:
        found: name → (d,), as an encoder gives it.
    """
    values = np.array(list(found.values()), np.float32)
    return Vectors({name: i for i, name in enumerate(found)}, unit(values) if found else values)
