"""Sounds with the dynamics of speech, for when no recordings are at hand.

Not voices: a source of pulses or noise through three moving resonances, in syllables with pauses.
They drive a network's layers over about the range that speech does, which is all that the ranges of
int8 tensors are taken from. Real recordings of the target microphone are better.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge.types import Float32

Float64 = npt.NDArray[np.float64]

RATE = 16000  # Hz
_SYLLABLE_S = (0.12, 0.3)
_F0_HZ = (85.0, 320.0)
_RESONANCES_HZ = ((300.0, 900.0), (900.0, 2400.0), (2300.0, 3500.0))


def speech_like(count: int, seconds: float, seed: int) -> list[Float32]:
    """Return sounds, each (seconds * 16000,) float32 within -1..1, the same for the same seed."""
    return [_sound(seconds, np.random.default_rng([seed, i])) for i in range(count)]


def _sound(seconds: float, rng: np.random.Generator) -> Float32:
    f0 = rng.uniform(*_F0_HZ)
    parts: list[Float64] = []
    missing = round(seconds * RATE)
    while missing > 0:
        syllable = _syllable(f0 * rng.uniform(0.85, 1.2), rng)
        pause = np.zeros(rng.integers(0, RATE // 5) if rng.random() < 0.3 else 0)
        parts += [syllable, pause]
        missing -= len(syllable) + len(pause)
    sound = np.concatenate(parts)[: round(seconds * RATE)]
    sound = sound / np.abs(sound).max() * rng.uniform(0.05, 0.7)
    noise = rng.normal(0, 10 ** rng.uniform(-4.5, -2.5), len(sound))
    return np.asarray(np.clip(sound + noise, -1, 1), np.float32)


def _syllable(f0: float, rng: np.random.Generator) -> Float64:
    """Return a source with a falling pitch through resonances, with a soft start and end."""
    count = int(rng.uniform(*_SYLLABLE_S) * RATE)
    phase = np.cumsum(f0 * np.linspace(1.05, 0.9, count) / RATE)
    voiced = (np.diff(np.floor(phase), prepend=0) > 0).astype(np.float64)
    source = voiced if rng.random() < 0.75 else rng.normal(0, 0.1, count)
    spectrum = np.fft.rfft(source)
    hz = np.fft.rfftfreq(count, 1 / RATE)
    gain = 1.0 / (1.0 + (hz / 800.0) ** 2) ** 0.4
    for low, high in _RESONANCES_HZ:
        centre, width = rng.uniform(low, high), rng.uniform(60, 180)
        gain = gain * (0.06 + 1.0 / (1.0 + ((hz - centre) / width) ** 2))
    return np.asarray(np.fft.irfft(spectrum * gain, count) * np.hanning(count))
