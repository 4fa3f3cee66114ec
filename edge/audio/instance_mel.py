"""Shape of Sound's front-end: ten seconds of log-mel, each band normalised over time.

Wen et al., CVPR 2021, as published in their code: torchaudio's MelSpectrogram (400 samples of
periodic Hamming window, hop 160, FFT 512, frames centred with reflected edges, 40 HTK triangles of
height one from 0 to 8000 Hz), ln(energy + 1e-6) of samples in the range of 16-bit integers, and
InstanceNorm1d without parameters. Shorter sound is repeated, longer sound is cut: the network
always sees the first ten seconds.

Spectra are computed while the sound arrives; only the normalisation waits for its end. Every step
is element-wise IEEE 754 arithmetic in a fixed order, as in `logmel`, so the features are the same
to the last bit on every machine.
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
from .clip import TiledClip
from .fingerprint import fingerprint
from .logarithm import exact_log
from .mel import mel_triangles
from .mel_stream import MelStream

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class InstanceMelSpec:
    """Every number that defines the features."""

    kind: Literal["instance_mel"] = "instance_mel"
    sample_rate: int = 16000  # Hz
    window: int = 400  # samples, periodic Hamming
    hop: int = 160  # samples
    fft: int = 512
    mels: int = 40
    f_min: float = 0.0  # Hz
    f_max: float = 8000.0  # Hz
    samples: int = 160000  # of a clip: 10 s
    gain: float = 32768.0  # of samples -1..1, to the 16-bit integers it was trained on
    floor: float = 1e-6  # added to energies
    epsilon: float = 1e-5  # added to variances

    @property
    def frames(self) -> int:
        """Frames of a clip: 1001."""
        return self.samples // self.hop + 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, bands and channels of the network's input."""
        return self.frames, self.mels, 1

    def fingerprint(self) -> str:
        """Return the SHA-256 that a bundle keeps of its front-end, as 64 hexadecimal digits."""
        return fingerprint(self, hamming(self), mel_weights(self))


def hamming(spec: InstanceMelSpec) -> Float64:
    """Return the periodic Hamming window, (window,)."""
    turn = 2 * np.pi * np.arange(spec.window) / spec.window
    window: Float64 = 0.54 - 0.46 * np.cos(turn)
    return window


def mel_weights(spec: InstanceMelSpec) -> Float64:
    """Return the mel filters, (mels, fft / 2 + 1), triangles of height one."""
    return mel_triangles(spec.mels, spec.fft, spec.sample_rate, spec.f_min, spec.f_max)


class InstanceMel:
    """One clip at a time: feed sound in chunks of any size, then `finish`."""

    def __init__(self, spec: InstanceMelSpec | None = None) -> None:
        self.spec = spec = spec or InstanceMelSpec()
        self._stream = MelStream(hamming(spec), mel_weights(spec), spec.hop, spec.fft)
        self._clip = TiledClip(spec.samples, np.float32)
        self._edge = spec.window // 2  # samples that the first and last frames reach beyond
        self.reset()

    def reset(self) -> None:
        """Forget every sample."""
        self._stream.reset()
        self._energies: list[Float32] = []
        self._clip.clear()
        self._taken = 0  # samples given to the stream

    def feed(self, samples: Float32) -> None:
        """Take the next samples, (n,) float32, nominally -1..1; those past ten seconds are dropped.

        Raises:
            InputError: if a sample is not finite or absurdly large; the front-end is then reset.
        """
        self._clip.add(samples)
        self._advance()

    def finish(self) -> Float32:
        """Return the features of the clip, (frames, mels, 1) float32, and reset.

        Raises:
            InputError: nothing was fed, or a sample is not finite.
        """
        self._clip.tile()
        self._advance()
        self._push(self._clip.samples[-2 : -self._edge - 2 : -1])
        energies = np.concatenate([*self._energies, self._flush()])
        self.reset()
        return self._normalise(energies)[..., None]

    def _advance(self) -> None:
        """Give the stream what it can have, after the reflected start."""
        clip = self._clip
        if clip.filled <= self._edge:
            return
        if not self._taken:
            self._push(clip.samples[self._edge : 0 : -1])
        self._push(clip.samples[self._taken : clip.filled])
        self._taken = clip.filled

    def _push(self, samples: Float32) -> None:
        try:
            self._energies.append(self._stream.feed(samples * np.float32(self.spec.gain)))
        except InputError:
            self.reset()
            raise

    def _flush(self) -> Float32:
        try:
            return self._stream.flush()
        except InputError:
            self.reset()
            raise

    def _normalise(self, energies: Float32) -> Float32:
        """Return (frames, mels) with mean 0 and variance 1 in every band."""
        values = exact_log(energies + np.float32(self.spec.floor))
        count = len(values)
        centred = values - np.add.reduce(values, axis=0) / count  # row after row: a fixed order
        variance = np.add.reduce(centred * centred, axis=0) / count
        normal: Float32 = (centred / np.sqrt(variance + self.spec.epsilon)).astype(np.float32)
        return normal


def features(samples: Float32, spec: InstanceMelSpec) -> Float32:
    """Return the features (1, frames, mels, 1) float32 of a recording, (n,) float32 samples.

    Raises:
        InputError: there is no sample, or one is not finite.
    """
    frontend = _frontend(spec, threading.get_ident())
    frontend.reset()
    frontend.feed(samples)
    return frontend.finish()[None]


@lru_cache(maxsize=8)
def _frontend(spec: InstanceMelSpec, thread: int) -> InstanceMel:
    """Return a front-end of this thread's own; making one takes as long as the features."""
    return InstanceMel(spec)
