"""The one vowel whose vocal tract is known: that of a tube."""

from __future__ import annotations

import numpy as np

from convert.population.voices.speech import SAMPLE_RATE


def vowel(length_cm: float, f0_hz: float, seconds: float = 4.2) -> np.ndarray:
    """Return the neutral vowel of a uniform tube at 16 kHz: pulses through five resonances."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    cycles = np.cumsum(f0_hz * 2 ** (np.sin(2 * np.pi * 0.7 * time) / 12)) / SAMPLE_RATE
    breath = np.random.default_rng(0).normal(0, 1e-4, len(time))
    sound = np.diff(np.floor(cycles), prepend=0.0) + breath
    spectrum = np.fft.rfft(sound)
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(len(sound)))
    for k in range(1, 6):
        frequency = (2 * k - 1) * 35_000.0 / (4 * length_cm)
        if frequency > 7800.0:
            break
        pole = np.exp((-np.pi * 80.0 + 2j * np.pi * frequency) / SAMPLE_RATE)
        spectrum = spectrum / ((1 - pole * z) * (1 - np.conj(pole) * z))
    sound = np.fft.irfft(spectrum, len(sound))
    return 0.7 * sound / np.abs(sound).max()
