"""A clip of fixed length, which longer sound is cut to and shorter sound repeated in."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..types import Float32


class TiledClip:
    """Filled in chunks of any size; `tile` repeats what there is to the end."""

    def __init__(self, length: int, dtype: npt.DTypeLike) -> None:
        """Make room for `length` samples."""
        self.samples: npt.NDArray[Any] = np.zeros(length, dtype)
        self.filled = 0  # samples known

    def clear(self) -> None:
        """Forget every sample."""
        self.filled = 0

    def add(self, samples: Float32) -> None:
        """Take the next samples, (n,); those past the end are dropped."""
        count = min(len(samples), len(self.samples) - self.filled)
        self.samples[self.filled : self.filled + count] = samples[:count]
        self.filled += count

    def tile(self) -> None:
        """Fill the clip with repetitions of what was added.

        Raises:
            InputError: nothing was.
        """
        if not self.filled:
            raise InputError("sound without a single sample; record a longer one")
        whole = np.resize(self.samples[: self.filled], len(self.samples))
        self.samples[self.filled :] = whole[self.filled :]
        self.filled = len(self.samples)
