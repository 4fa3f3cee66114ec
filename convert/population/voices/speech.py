"""Read base utterances and follow their F0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

SAMPLE_RATE = 16_000
FRAME_S = 0.005
F0_FLOOR_HZ, F0_CEILING_HZ = 60.0, 500.0


def read_speech(path: Path) -> Float64:
    """Return an utterance as 16 kHz mono, peak 0.7, silence at both ends cut off."""
    import soundfile
    import soxr

    samples, rate = soundfile.read(path, always_2d=True)
    mono = samples.mean(axis=1)
    if rate != SAMPLE_RATE:
        mono = soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
    return trim(0.7 * mono / (np.abs(mono).max() + 1e-9))


def trim(samples: Float64, below_db: float = 35.0, block: int = 320) -> Float64:
    """Return `samples` without the ends that stay `below_db` under the loudest 20 ms block."""
    blocks = len(samples) // block
    power = (samples[: blocks * block].reshape(blocks, block) ** 2).mean(axis=1)
    loud = np.flatnonzero(power > power.max(initial=0.0) * 10 ** (-below_db / 10))
    if not len(loud):
        return samples
    return samples[loud[0] * block : (loud[-1] + 1) * block]


def track_f0(samples: Float64) -> Float64:
    """Return F0 in Hz every 5 ms, 0 where unvoiced (DIO and StoneMask, Morise et al. 2009, 2016).

    Harvest would follow rough voices better but costs 20 times more, and the base voices are clean.
    """
    import pyworld

    f0, times = pyworld.dio(samples, SAMPLE_RATE, f0_floor=F0_FLOOR_HZ, f0_ceil=F0_CEILING_HZ)
    refined: Float64 = pyworld.stonemask(samples, f0, times, SAMPLE_RATE)
    return refined


def median_and_spread(f0: Float64) -> tuple[float, float]:
    """Return (median F0 in Hz, standard deviation in semitones) of the voiced frames."""
    voiced = f0[f0 > 0]
    return float(np.median(voiced)), float(12.0 * np.std(np.log2(voiced)))
