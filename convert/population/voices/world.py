"""Turn an utterance of a base voice into the same words from another speaker (WORLD vocoder).

WORLD (Morise et al. 2016) splits speech into F0, spectral envelope and aperiodicity. The speaker's
F0, vocal-tract length, roughness, breath and tempo come from the person; where the tube is wider or
narrower, how the spectrum is coloured and which base voice speaks come from the `VoiceCharacter`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..law import Person
from .character import VoiceCharacter
from .speech import FRAME_S, SAMPLE_RATE, Float64, median_and_spread, track_f0

Int16 = npt.NDArray[np.int16]

CLIP_SAMPLES = 51_200  # 3.2 s
EXCERPT_SAMPLES = 83_200  # 5.2 s: enough for a clip at the fastest tempo
LOWEST_HZ, HIGHEST_HZ = 60.0, 600.0  # of the rendered F0
SHORTEST_VOICED = 60  # frames
PEAK = 0.6
NYQUIST_HZ = SAMPLE_RATE / 2
CLIP_F0_SD_ST = 0.8  # between the clips of one person
DRIFT_SD_ST = 0.7  # slow wander within a clip
DRIFT_FRAMES = 40


@dataclass(frozen=True, slots=True)
class Analysis:
    """WORLD's view of one excerpt: frames every 5 ms, 513 bins from 0 to 8 kHz."""

    f0: Float64  # (frames,), Hz, 0 where unvoiced
    envelope: Float64  # (frames, 513), power
    aperiodicity: Float64  # (frames, 513), 0..1


def analyse(samples: Float64, rng: np.random.Generator) -> Analysis:
    """Analyse an excerpt of at most 5.2 s at a random place.

    Args:
        samples: (n,) at 16 kHz, range -1..1.
        rng: chooses the place and a dither 100 dB down (digital silence has no envelope).
    """
    import pyworld

    start = int(rng.integers(max(1, len(samples) - EXCERPT_SAMPLES)))
    excerpt = samples[start : start + EXCERPT_SAMPLES]
    excerpt = np.ascontiguousarray(excerpt + rng.normal(0.0, 1e-5, len(excerpt)))
    f0 = track_f0(excerpt)
    times = np.arange(len(f0)) * FRAME_S
    return Analysis(
        f0=f0,
        envelope=pyworld.cheaptrick(excerpt, f0, times, SAMPLE_RATE),
        aperiodicity=pyworld.d4c(excerpt, f0, times, SAMPLE_RATE),
    )


def reshape(
    analysis: Analysis, person: Person, character: VoiceCharacter, rng: np.random.Generator
) -> Int16 | None:
    """Render one clip of `person`: int16 (51200,), 3.2 s at 16 kHz, peak 0.6 of full scale.

    Two clips of one person differ in what `rng` draws: F0 by 0.8 semitones, tempo by 4 %, the slow
    wander of F0, perturbation and place. Returns None when the excerpt holds too little speech.
    """
    import pyworld

    if np.count_nonzero(analysis.f0) < SHORTEST_VOICED:
        return None
    f0 = _reshape_f0(analysis.f0, person, character, rng)
    envelope, aperiodicity = _reshape_spectra(analysis, person, character, rng)
    tempo = float(np.clip(person.tempo * rng.normal(1.0, 0.04), 0.6, 1.4)) / character.pace
    samples = pyworld.synthesize(
        f0, envelope, aperiodicity, SAMPLE_RATE, frame_period=1000 * FRAME_S / tempo
    )
    return cut(samples, rng)


def _reshape_f0(
    f0: Float64, person: Person, character: VoiceCharacter, rng: np.random.Generator
) -> Float64:
    voiced = f0 > 0
    median, spread = median_and_spread(f0)
    contour = 12.0 * np.log2(f0[voiced] / median)
    contour *= np.clip(person.f0_sd_st / (spread + 1e-3), 0.35, 2.2)
    frames = np.arange(len(f0))
    knots = rng.normal(0.0, DRIFT_SD_ST, len(f0) // DRIFT_FRAMES + 3)
    drift = np.interp(frames / DRIFT_FRAMES, np.arange(len(knots)), knots)
    semitones = np.clip(contour, -12.0, 14.0) + drift[voiced] + rng.normal(0.0, CLIP_F0_SD_ST)
    phase = 2 * np.pi * (character.tremor_hz * frames[voiced] * FRAME_S + rng.random())
    ripple = 1.0 + person.tremor * np.sin(phase)
    ripple *= 1.0 + np.clip(rng.normal(0.0, person.jitter, len(semitones)), -0.12, 0.12)
    reshaped = np.zeros(len(f0))
    reshaped[voiced] = np.clip(
        person.f0_hz * 2.0 ** (semitones / 12.0) * ripple, LOWEST_HZ, HIGHEST_HZ
    )
    return reshaped


def _reshape_spectra(
    analysis: Analysis, person: Person, character: VoiceCharacter, rng: np.random.Generator
) -> tuple[Float64, Float64]:
    """Return envelope and aperiodicity with the person's vocal tract, colour and breath."""
    bins = analysis.envelope.shape[1]
    frequency = np.linspace(0.0, NYQUIST_HZ, bins)
    warp = character.stretch * formant_shift(frequency, character.warp_nodes)
    source = np.clip(frequency / warp / NYQUIST_HZ * (bins - 1), 0.0, bins - 1)
    below = np.minimum(source.astype(int), bins - 2)
    share = source - below

    def warped(spectra: Float64) -> Float64:
        mixed: Float64 = np.take(spectra, below, axis=1) * (1.0 - share)
        mixed += np.take(spectra, below + 1, axis=1) * share
        return mixed

    level_db = rng.normal(0.0, person.shimmer_db, len(analysis.f0))
    gain_db = level_db[:, None] + colour_db(frequency, character.eq_db, person.tilt_db)
    envelope = np.exp(warped(np.log(analysis.envelope)) + gain_db * (np.log(10.0) / 10.0))
    breath = person.breathiness * np.clip((frequency / 3000.0) ** 0.7, 0.05, 1.0)
    aperiodicity = warped(analysis.aperiodicity)
    aperiodicity += breath * (1.0 - aperiodicity)
    return envelope, np.clip(aperiodicity, 1e-3, 1.0)


def formant_shift(frequency: Float64, warp_nodes: Sequence[float]) -> Float64:
    """Return by what factor formants near each frequency (Hz) are shifted by the warp nodes."""
    nodes = np.linspace(0.0, NYQUIST_HZ, len(warp_nodes))
    return np.asarray(1.0 + np.interp(frequency, nodes, warp_nodes))


def colour_db(frequency: Float64, eq_db: Sequence[float], tilt_db: float) -> Float64:
    """Return a speaker's long-term colour in dB: equaliser nodes, and a tilt per octave."""
    nodes = np.linspace(np.log(80.0), np.log(8080.0), len(eq_db))
    equaliser = np.interp(np.log(frequency + 80.0), nodes, eq_db)
    colour: Float64 = equaliser + tilt_db * np.log2(np.maximum(frequency, 250.0) / 1000.0)
    return colour


def cut(samples: Float64, rng: np.random.Generator) -> Int16 | None:
    """Return a clip from a random place of `samples`; short ones repeat or end in silence."""
    if len(samples) < CLIP_SAMPLES // 2:
        return None
    if len(samples) < CLIP_SAMPLES:
        tail = samples if rng.random() < 0.5 else np.zeros(CLIP_SAMPLES)
        samples = np.concatenate([samples, tail])[:CLIP_SAMPLES]
    start = int(rng.integers(len(samples) - CLIP_SAMPLES + 1))
    clip = samples[start : start + CLIP_SAMPLES]
    peak = float(np.abs(clip).max())
    if not np.isfinite(peak) or peak < 1e-6:
        return None
    return (clip / peak * PEAK * 32767.0).astype(np.int16)
