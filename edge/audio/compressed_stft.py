"""Speech2Face's front-end: six seconds of spectrum, compressed by a power of 0.3.

Oh et al., CVPR 2019, section 3.1: periodic Hann window of 25 ms, hop 10 ms, FFT of 512 points,
frames without padding, sgn(s) |s|**0.3 of the real and of the imaginary part. Shorter sound is
repeated, longer sound is cut. Nothing is normalised; batch norm in the network copes.

Spectra are computed while the sound arrives, by NumPy in float64: their last bits may differ
between machines, nine digits below what an int8 input can tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import InputError
from ..types import Float32
from .clip import TiledClip
from .fingerprint import fingerprint


@dataclass(frozen=True, slots=True)
class CompressedStftSpec:
    """Every number that defines the features."""

    kind: Literal["compressed_stft"] = "compressed_stft"
    sample_rate: int = 16000  # Hz
    window: int = 400  # samples, periodic Hann
    hop: int = 160  # samples
    fft: int = 512
    samples: int = 96000  # of a clip: 6 s
    power: float = 0.3
    # what one re-implementation (saiteja-talluri) feeds instead: |s|**0.3 and the phase in radians
    channels: Literal["real_imaginary", "magnitude_phase"] = "real_imaginary"

    @property
    def frames(self) -> int:
        """Frames of a clip: 598."""
        return (self.samples - self.window) // self.hop + 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, bins and channels of the network's input."""
        return self.frames, self.fft // 2 + 1, 2

    def fingerprint(self) -> str:
        """Return the SHA-256 that a bundle keeps of its front-end, as 64 hexadecimal digits."""
        return fingerprint(self)


class CompressedStft:
    """One clip at a time: feed sound in chunks of any size, then `finish`."""

    def __init__(self, spec: CompressedStftSpec | None = None) -> None:
        self.spec = spec = spec or CompressedStftSpec()
        self._hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec.window) / spec.window)
        self._clip = TiledClip(spec.samples, np.float64)
        self._features = np.zeros(spec.shape, np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget every sample."""
        self._clip.clear()
        self._done = 0  # frames computed

    def feed(self, samples: Float32) -> None:
        """Take the next samples, (n,) float32 -1..1; those past six seconds are dropped.

        Raises:
            InputError: a sample is not finite; the front-end is then reset.
        """
        if not np.isfinite(samples).all():
            self.reset()
            raise InputError("sound holds NaN or infinite samples; check the recording")
        self._clip.add(samples)
        self._advance()

    def finish(self) -> Float32:
        """Return the features of the clip, (598, 257, 2) float32, and reset.

        Raises:
            InputError: nothing was fed.
        """
        self._clip.tile()
        self._advance()
        self.reset()
        return self._features.copy()

    def _advance(self) -> None:
        """Compute the frames whose samples are all known."""
        spec = self.spec
        count = (self._clip.filled - spec.window) // spec.hop + 1
        if count <= self._done:
            return
        known = self._clip.samples[self._done * spec.hop : self._clip.filled]
        frames = np.lib.stride_tricks.sliding_window_view(known, spec.window)[:: spec.hop]
        spectrum = np.fft.rfft(frames * self._hann, spec.fft)
        if spec.channels == "magnitude_phase":
            parts = [np.abs(spectrum) ** spec.power, np.angle(spectrum)]
        else:
            parts = [np.sign(p) * np.abs(p) ** spec.power for p in (spectrum.real, spectrum.imag)]
        self._features[self._done : count] = np.stack(parts, axis=-1)
        self._done = count


def features(samples: Float32, spec: CompressedStftSpec) -> Float32:
    """Return the features (1, 598, 257, 2) float32 of a recording, (n,) samples -1..1.

    Raises:
        InputError: there is no sample, or one is not finite.
    """
    frontend = CompressedStft(spec)
    frontend.feed(samples)
    return frontend.finish()[None]
