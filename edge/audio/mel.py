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
    """Return the filters of `mel_triangles`, each scaled so that its weights sum to one.

    Raises:
        ValueError: if a filter is too narrow to hold a bin.
    """
    triangles = mel_triangles(mels, fft, sample_rate, f_min, f_max)
    sums = triangles.sum(axis=1, keepdims=True)
    if not sums.all():
        raise ValueError(f"{mels} mel filters are too many for an FFT of {fft} samples")
    weights: npt.NDArray[np.float64] = triangles / sums
    return weights


def mel_triangles(
    mels: int, fft: int, sample_rate: int, f_min: float, f_max: float
) -> npt.NDArray[np.float64]:
    """Return triangular filters between two frequencies in Hz, (mels, fft / 2 + 1), peaks one.

    The mel scale is that of HTK, 2595 log10(1 + f / 700) (O'Shaughnessy 1987); the triangles are
    linear in Hz and reach from the centre of one neighbour to that of the other.
    """
    low, high = (2595 * math.log10(1 + hz / 700) for hz in (f_min, f_max))
    edges = 700 * (10 ** (np.linspace(low, high, mels + 2) / 2595) - 1)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    hz = np.arange(fft // 2 + 1) * (sample_rate / fft)
    rising, falling = (hz - left) / (centre - left), (right - hz) / (right - centre)
    triangles: npt.NDArray[np.float64] = np.maximum(np.minimum(rising, falling), 0.0)
    return triangles


class MelBank:
    """Mel energies of a fixed number of frames: gathered bins, weighted, added row by row.

    Filters go in groups of neighbours, each filter padded with zero weights to the widest of its
    group. NumPy reduces over a leading axis one row after the other, so every energy is a sum in
    order of frequency on any processor (no matrix product, whose order is the library's own).
    """

    def __init__(self, weights: npt.NDArray[np.float64], frames: int) -> None:
        """Plan for (mels, bins) weights; each filter must hold at least one bin."""
        inside = weights > 0
        groups = np.array_split(np.arange(len(weights)), _GROUPS)
        gathered = []
        for group in groups:
            width = int(inside[group].sum(axis=1).max())
            first = np.minimum(inside[group].argmax(axis=1), weights.shape[1] - width)
            gathered.append(first + np.arange(width)[:, None])
        self._bins = np.concatenate([bins.ravel() for bins in gathered])
        self._products = np.zeros((len(self._bins), frames), np.float32)
        self._weights = np.zeros_like(self._products)  # repeated for every frame: one long product
        self._energies = np.zeros((len(weights), frames), np.float32)
        self._sums: list[tuple[Float32, Float32]] = []
        start = 0
        for group, bins in zip(groups, gathered, strict=True):
            rows = slice(start, start + bins.size)
            self._weights[rows] = weights[group, bins].reshape(-1, 1)
            terms = self._products[rows].reshape(*bins.shape, frames)
            self._sums.append((terms, self._energies[group[0] : group[-1] + 1]))
            start += bins.size

    def energies(self, power: Float32) -> Float32:
        """Return the (frames, mels) energies of (bins, frames) power."""
        power.take(self._bins, axis=0, out=self._products, mode="clip")
        np.multiply(self._products, self._weights, out=self._products)
        for terms, sums in self._sums:
            np.add.reduce(terms, axis=0, out=sums)
        return self._energies.T.copy()
