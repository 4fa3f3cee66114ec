"""Log-mel features: the one front-end, shared by training and by the device.

Guarantee: the same samples give the same codes, bit for bit, whatever the size of the chunks, the
processor, its vector width, the BLAS and the NumPy version. It holds by construction:

* spectra and mel filters use element-wise IEEE 754 operations in a fixed order only (see
  `spectrum` and `mel`), and no step uses BLAS, an FFT library or a vector logarithm;
* the level of a window is a sum in float64, row by row and then exact (`math.fsum`);
* logarithm and quantiser are one table, indexed by the leading bits of a float32;
* tables are computed in float64 and rounded once. No entry lies so near a rounding edge that two
  maths libraries could disagree; a test holds every entry to that.

Underflow is kept away from the codes: a window with a mean energy below `_SILENCE` is silent, so
processors that flush tiny numbers to zero agree as well.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..types import Float32, Int8
from .mel import mel_filters
from .mel_stream import MelStream

Float64 = npt.NDArray[np.float64]

INPUT_SCALE = 1 / 32  # a model's float input is code * INPUT_SCALE, zero point 0

_SILENCE = 1e-24  # mean energy; a 24-bit recording attenuated by 100 dB is still above
_MANTISSA_BITS = 9  # the logarithm is constant over 1/512 of an octave: 0.03 codes at most


@dataclass(frozen=True, slots=True)
class LogMelSpec:
    """Every number that defines the features."""

    sample_rate: int = 16000  # Hz
    window: int = 400  # samples, periodic Hann
    hop: int = 160  # samples
    fft: int = 512
    mels: int = 64
    f_min: float = 60.0  # Hz
    f_max: float = 7600.0  # Hz
    frames: int = 256  # of one encoder window
    floor: float = 1e-5  # of the encoder window's mean energy (-50 dB)
    code_gain: float = 14.0  # codes per neper of energy
    code_offset: float = -2.375  # ln(energy / mean + floor) of code 0; codes span -11.5 .. +6.7

    @property
    def window_samples(self) -> int:
        """Samples of one encoder window: 41200, or 2.575 s."""
        return (self.frames - 1) * self.hop + self.window

    def fingerprint(self) -> str:
        """Return the SHA-256 that a bundle keeps of its front-end, as 64 hexadecimal digits.

        It covers the numbers above, `INPUT_SCALE` and the tables in steps of 2**-20, so that it
        changes with the features but not with the last bit of a maths library.
        """
        digest = hashlib.sha256(json.dumps([INPUT_SCALE, asdict(self)], sort_keys=True).encode())
        for table in (hann(self), mel_weights(self)):
            digest.update(np.round(table * 2**20).astype("<i4").tobytes())
        digest.update(_code_table(self).tobytes())
        return digest.hexdigest()


def hann(spec: LogMelSpec) -> Float64:
    """Return the periodic Hann window, (window,)."""
    window: Float64 = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec.window) / spec.window)
    return window


def mel_weights(spec: LogMelSpec) -> Float64:
    """Return the mel filters, (mels, fft / 2 + 1), each summing to one."""
    return mel_filters(spec.mels, spec.fft, spec.sample_rate, spec.f_min, spec.f_max)


class LogMel(MelStream):
    """The stream of mel energies that a specification asks for."""

    def __init__(self, spec: LogMelSpec | None = None) -> None:
        self.spec = spec or LogMelSpec()
        super().__init__(hann(self.spec), mel_weights(self.spec), self.spec.hop, self.spec.fft)


def normalise(energies: Float32, spec: LogMelSpec) -> Int8:
    """Turn the energies of one encoder window into its codes, whatever the level.

    Args:
        energies: (frames, mels) float32 linear energies, finite.
        spec: the features wanted.

    Returns:
        (frames, mels) int8: code_gain * (ln(energy / mean + floor) - code_offset), rounded and
        clipped, with the mean taken over the window. Silence is code -128 everywhere.

    Raises:
        InputError: if the energies are not finite.
    """
    mean = math.fsum(energies.sum(axis=0, dtype=np.float64).tolist()) / energies.size
    if not math.isfinite(mean):
        raise InputError("sound holds NaN, infinite or absurd samples; check the recording")
    scale = np.float32(1 / mean if mean > _SILENCE else 0.0)
    relative = energies * scale + np.float32(spec.floor)
    codes: Int8 = _code_table(spec).take(_cell(relative) - _cell(spec.floor), mode="clip")
    return codes


def windows(energies: Float32, spec: LogMelSpec, hop_frames: int = 128) -> Int8:
    """Cut energies into encoder windows and normalise each.

    Windows start every `hop_frames`; the last one ends where the sound ends. Sound shorter than a
    window is repeated to fill one.

    Args:
        energies: (n, mels) float32 linear energies, n at least 1.
        spec: the features wanted.
        hop_frames: frames from one window to the next.

    Returns:
        (w, frames, mels) int8, w at least 1.

    Raises:
        InputError: if there is no frame, or the energies are not finite.
    """
    if len(energies) == 0:
        raise InputError("sound is shorter than one frame of 25 ms; record a longer one")
    if len(energies) < spec.frames:
        energies = energies[np.arange(spec.frames) % len(energies)]
    last = len(energies) - spec.frames
    starts = [*range(0, last, hop_frames), last]
    return np.stack([normalise(energies[start : start + spec.frames], spec) for start in starts])


def features(samples: Float32, spec: LogMelSpec) -> Int8:
    """Return the (w, frames, mels) int8 codes of a whole recording, (n,) float32 samples.

    Raises:
        InputError: if the sound is shorter than a frame or holds samples that are not finite.
    """
    frontend = _frontend(spec, threading.get_ident())
    frontend.reset()
    return windows(np.concatenate([frontend.feed(samples), frontend.flush()]), spec)


@lru_cache(maxsize=8)
def _frontend(spec: LogMelSpec, thread: int) -> LogMel:
    """Return a front-end of this thread's own; making one takes as long as a second of sound."""
    return LogMel(spec)


def _cell(values: Float32 | float) -> npt.NDArray[np.int32]:
    """Return the leading bits of positive float32 values: an integer logarithm."""
    bits = np.asarray(values, np.float32).view(np.int32)
    return np.right_shift(bits, 23 - _MANTISSA_BITS)


@lru_cache(maxsize=8)
def _code_table(spec: LogMelSpec) -> Int8:
    """Return the code of every cell from that of the floor to that of the largest ratio."""
    largest = 2 * spec.frames * spec.mels  # all energy in one cell, with room for rounding
    code = spec.code_gain * (np.log(_cell_centres(spec.floor, largest)) - spec.code_offset)
    table: Int8 = np.clip(np.round(code), -128, 127).astype(np.int8)
    return table


def _cell_centres(smallest: float, largest: float) -> Float64:
    """Return the middle of every cell between two values, both included."""
    cells = np.arange(_cell(smallest), _cell(largest) + 1, dtype=np.int32)
    edge = np.left_shift(cells, 23 - _MANTISSA_BITS).view(np.float32).astype(np.float64)
    mantissa, exponent = np.frexp(edge)
    centres: Float64 = np.ldexp(mantissa + 2.0 ** -(_MANTISSA_BITS + 2), exponent)
    return centres
