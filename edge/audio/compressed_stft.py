"""Speech2Face's front-end: six seconds of spectrum, compressed by a power of 0.3.

Oh et al., CVPR 2019, section 3.1: periodic Hann window of 25 ms, hop 10 ms, FFT of 512 points,
frames without padding, sgn(s) |s|**0.3 of the real and of the imaginary part. Shorter sound is
repeated, longer sound is cut. Nothing is normalised; batch norm in the network copes.

The spectrum is NumPy's in float64. Its last bits may differ between machines, nine digits below
what an int8 input can tell.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from ..errors import InputError
from ..types import Float32


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
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def features(samples: Float32, spec: CompressedStftSpec) -> Float32:
    """Return the features (1, 598, 257, 2) float32 of a recording, (n,) samples -1..1.

    Raises:
        InputError: there is no sample, or one is not finite.
    """
    if not len(samples):
        raise InputError("sound without a single sample; record a longer one")
    if not np.isfinite(samples).all():
        raise InputError("sound holds NaN or infinite samples; check the recording")
    clip = np.resize(samples.astype(np.float64), spec.samples)
    frames = np.lib.stride_tricks.sliding_window_view(clip, spec.window)[:: spec.hop]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec.window) / spec.window)
    spectrum = np.fft.rfft(frames * hann, spec.fft)
    if spec.channels == "magnitude_phase":
        parts = [np.abs(spectrum) ** spec.power, np.angle(spectrum)]
    else:
        parts = [np.sign(p) * np.abs(p) ** spec.power for p in (spectrum.real, spectrum.imag)]
    return np.asarray(np.stack(parts, axis=-1), np.float32)[None]
