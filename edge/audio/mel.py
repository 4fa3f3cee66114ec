"""Mel filters, and their sums over many frames in an order that never changes."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..types import Float32

_GROUPS = 4  # of neighbouring filters, each padded to the widest of its group


def mel_filters(
    mels: int, fft: int, sample_rate: int, f_min: float, f_max: float
) -> npt.NDArray[np.float64]:
    """Return triangular filters between two frequencies in Hz, (mels, fft / 2 + 1), sums one.

    The mel scale is that of HTK, 2595 log10(1 + f / 700) (O'Shaughnessy 1987); the triangles are
    linear in Hz and reach from the centre of one neighbour to that of the other.
    """
    low, high = (2595 * math.log10(1 + hz / 700) for hz in (f_min, f_max))
    edges = 700 * (10 ** (np.linspace(low, high, mels + 2) / 2595) - 1)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    hz = np.arange(fft // 2 + 1) * (sample_rate / fft)
    rising, falling = (hz - left) / (centre - left), (right - hz) / (right - centre)
    triangles = np.maximum(np.minimum(rising, falling), 0.0)
    weights: npt.NDArray[np.float64] = triangles / triangles.sum(axis=1, keepdims=True)
    return weights


class MelBank:
    """Mel filters as weighted sums of gathered bins: few additions, all in a fixed order."""

    def __init__(self, weights: npt.NDArray[np.float64], frames: int) -> None:
        inside = weights > 0
        groups = np.array_split(np.arange(len(weights)), _GROUPS)
        widest = [int(inside[group].sum(axis=1).max()) for group in groups]
        bins = [
            np.minimum(
                inside[group].argmax(axis=1) + np.arange(width)[:, None], inside.shape[1] - 2
            )
            for group, width in zip(groups, widest, strict=True)
        ]
        gathered = [weights[group, rows] for group, rows in zip(groups, bins, strict=True)]
        self._bins = np.concatenate([rows.ravel() for rows in bins])
        self._weights = np.concatenate([part.ravel() for part in gathered]).astype(np.float32)[
            :, None
        ]
        self._products = np.zeros((len(self._bins), frames), np.float32)
        self._energies = np.zeros((len(weights), frames), np.float32)
        self._sums: list[tuple[Float32, Float32]] = []
        start = 0
        for group, width in zip(groups, widest, strict=True):
            terms = self._products[start : start + width * len(group)]
            start += len(terms)
            self._sums.append(
                (terms.reshape(width, len(group), frames), self._energies[group[0] : group[-1] + 1])
            )

    def energies(self, power: Float32) -> Float32:
        """Return the (frames, mels) energies of (bins, frames) power."""
        power.take(self._bins, axis=0, out=self._products, mode="clip")
        np.multiply(self._products, self._weights, out=self._products)
        for terms, sums in self._sums:
            np.add.reduce(
                terms, axis=0, out=sums
            )  # row by row: NumPy adds along the last axis only
        return self._energies.T.copy()
