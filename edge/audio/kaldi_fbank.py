"""Kaldi-style log mel filter banks of one clip, each band's mean taken out.

As speaker embeddings are trained on (Povey et al., Kaldi's compute-fbank-feats): in every frame of
25 ms the mean is removed, pre-emphasis 0.97 applied (the first sample is its own predecessor), a
symmetric Hamming window laid on; power spectrum of 512 points, triangles that are linear in
mel = 1127 ln(1 + f / 700), ln(max(energy, 2**-23)). A clip is 6 s: longer sound is cut in its
middle, shorter sound is filled up with zeros. Where the middle lies is known at its end only, so
this front-end does not stream.

Element-wise IEEE 754 arithmetic in a fixed order throughout, as in `logmel`: the features are the
same to the last bit on every machine.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..types import Float32
from .fingerprint import fingerprint
from .logarithm import exact_log
from .mel import MelBank
from .spectrum import PowerSpectrum

Float64 = npt.NDArray[np.float64]

_BLOCK = 100  # frames computed at once
_LOUDEST = 1e12  # of a sample; any sample format fits, and no energy overflows


@dataclass(frozen=True, slots=True)
class KaldiFbankSpec:
    """Every number that defines the features."""

    kind: Literal["kaldi_fbank"] = "kaldi_fbank"
    sample_rate: int = 16000  # Hz
    window: int = 400  # samples, symmetric Hamming
    hop: int = 160  # samples
    fft: int = 512
    mels: int = 80
    f_min: float = 20.0  # Hz
    f_max: float = 8000.0  # Hz
    samples: int = 96240  # of a clip: 6.015 s
    preemphasis: float = 0.97
    floor: float = 2.0**-23  # of energies, for samples -1..1

    @property
    def frames(self) -> int:
        """Frames of a clip: 600."""
        return (self.samples - self.window) // self.hop + 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, bands and channels of the network's input."""
        return self.frames, self.mels, 1

    def fingerprint(self) -> str:
        """Return the SHA-256 that a bundle keeps of its front-end, as 64 hexadecimal digits."""
        return fingerprint(self, hamming(self), mel_weights(self))


def hamming(spec: KaldiFbankSpec) -> Float64:
    """Return the symmetric Hamming window, (window,)."""
    turn = 2 * np.pi * np.arange(spec.window) / (spec.window - 1)
    window: Float64 = 0.54 - 0.46 * np.cos(turn)
    return window


def mel_weights(spec: KaldiFbankSpec) -> Float64:
    """Return the mel filters, (mels, fft / 2 + 1): triangles of height one, linear in mel."""

    def mel(hz: Float64) -> Float64:
        return np.asarray(1127.0 * np.log(1.0 + hz / 700.0))

    low, high = mel(np.array([spec.f_min, spec.f_max]))
    edges = np.linspace(low, high, spec.mels + 2)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = mel(np.arange(spec.fft // 2 + 1) * (spec.sample_rate / spec.fft))
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return np.asarray(np.maximum(np.minimum(rising, falling), 0.0))


class KaldiFbank:
    """A plan for the features of one clip after the other."""

    def __init__(self, spec: KaldiFbankSpec | None = None) -> None:
        self.spec = spec = spec or KaldiFbankSpec()
        # frames are prepared one by one, so they lie side by side in the plan's buffer
        window = hamming(spec).astype(np.float32)
        self._spectrum = PowerSpectrum(window, spec.window, spec.fft, _BLOCK)
        # four times too large and without its last bin (whose mel weight is 0), as in `MelStream`
        self._mel = MelBank(mel_weights(spec)[:, :-1] / 4, _BLOCK)

    def features(self, samples: Float32) -> Float32:
        """Return the features (frames, mels, 1) float32 of a recording, (n,) samples -1..1.

        Raises:
            InputError: there is no sample, or one is not finite.
        """
        spec = self.spec
        clip = _centred(np.asarray(samples, np.float32), spec.samples)
        frames = np.lib.stride_tricks.sliding_window_view(clip, spec.window)[:: spec.hop]
        energies = [self._energies(frames[i : i + _BLOCK]) for i in range(0, len(frames), _BLOCK)]
        values = exact_log(np.maximum(np.concatenate(energies), np.float32(spec.floor)))
        mean = np.add.reduce(values, axis=0) / len(values)  # row after row: a fixed order
        return np.asarray(values - mean, np.float32)[..., None]

    def _energies(self, frames: Float32) -> Float32:
        """Return the (n, mels) energies of (n, window) frames, n at most 100."""
        columns = frames.T  # sums over the first axis are taken row after row
        columns = columns - np.add.reduce(columns, axis=0) / np.float32(len(columns))
        before = np.concatenate([columns[:1], columns[:-1]])
        emphasised = columns - np.float32(self.spec.preemphasis) * before
        self._spectrum.samples[:] = 0.0
        self._spectrum.samples[: frames.size] = emphasised.T.ravel()
        self._spectrum.run()
        return self._mel.energies(self._spectrum.power)[: len(frames)]


def features(samples: Float32, spec: KaldiFbankSpec) -> Float32:
    """Return the features (1, frames, mels, 1) float32 of a recording, (n,) samples -1..1.

    Raises:
        InputError: there is no sample, or one is not finite.
    """
    return _frontend(spec, threading.get_ident()).features(samples)[None]


@lru_cache(maxsize=8)
def _frontend(spec: KaldiFbankSpec, thread: int) -> KaldiFbank:
    """Return a front-end of this thread's own; making one takes as long as the features."""
    return KaldiFbank(spec)


def _centred(samples: Float32, count: int) -> Float32:
    """Return the middle `count` samples, or all of them and zeros after."""
    if not len(samples):
        raise InputError("sound without a single sample; record a longer one")
    if not (samples.min() >= -_LOUDEST and samples.max() <= _LOUDEST):  # NaN fails both
        raise InputError("sound holds NaN, infinite or absurd samples; check the recording")
    if len(samples) < count:
        return np.concatenate([samples, np.zeros(count - len(samples), np.float32)])
    start = (len(samples) - count) // 2
    return samples[start : start + count]
