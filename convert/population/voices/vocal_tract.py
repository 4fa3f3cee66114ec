"""Vocal-tract length and F0 of the base voices, from their formants.

A uniform tube closed at one end resonates at F_k = (k - 1/2) c / 2L. The length is the
least-squares fit through the origin of the median F1-F4 of the voiced frames, with c = 350 m/s.
Formants are the roots of a Burg predictor as in Praat's "To Formant (burg)" (Anderson 1978;
Childers 1978): the sound at twice the formant ceiling, pre-emphasis from 50 Hz, 50 ms Gaussian
window, five formants.

Over the 91 base voices these lengths came out 1.3 % above Praat's (median; 5-95 %: 0.1 to 4.6 %)
and are divided by that: men 17.4-18.5 cm, women 14.2-16.9, espeak-ng's median 17.8. Each voice is
measured once; the results are kept beside the base utterances.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from convert.parallel import each
from edge.errors import NoSpeechError

from .base_voices import BASE_VOICES, RECORDED_VOICES
from .speech import FRAME_S, SAMPLE_RATE, Float64, median_and_spread, read_speech, track_f0
from .tts import base_utterances

SPEED_OF_SOUND_CM = 35_000.0  # per second, in warm moist air
ABOVE_PRAAT = 1.013
FORMANTS = 4  # fitted; five are looked for
PLAUSIBLE_CM = (11.0, 21.0)  # outside, the formants were mistaken (or the voice is a toy)
UTTERANCES = 12  # per voice; two agree within 0.3 cm
EXCERPT_S = 5.0
LOUD_DB = 20.0  # frames this far below the loudest are left out
WINDOW_S = 0.05
PRE_EMPHASIS_HZ = 50.0
CACHE_NAME = "voices.json"


@dataclass(frozen=True, slots=True)
class MeasuredVoice:
    """A base voice with what had to be measured."""

    id: str
    speaker: str  # the person recorded
    natural: bool
    male: bool | None  # who was recorded; None: a child, or nobody
    vtl_cm: float  # acoustic vocal-tract length
    f0_hz: float  # median
    pace: float = 1.0  # how fast it speaks, 1 is usual; measured by pace.py


def measure_base(folder: Path, workers: int = 2, progress: bool = True) -> list[MeasuredVoice]:
    """Measure every base voice that has utterances in `folder`; return the plausible ones.

    Results are kept in `folder/voices.json`, so a second call only reads.
    """
    from tqdm import tqdm

    cache = folder / CACHE_NAME
    known = _read_cache(cache)
    utterances = base_utterances(folder)
    table = {voice.id: voice for voice in (*BASE_VOICES, *RECORDED_VOICES)}
    todo = [id_ for id_ in utterances if id_ in table and id_ not in known]
    measured = each(measure_voice, [utterances[id_][:UTTERANCES] for id_ in todo], workers)
    shown = tqdm(measured, total=len(todo), desc="vocal tracts", disable=not progress)
    for id_, (vtl, f0) in zip(todo, shown, strict=True):
        voice = table[id_]
        known[id_] = MeasuredVoice(id_, voice.speaker, voice.natural, voice.male, vtl, f0)
    if todo:
        part = cache.with_suffix(".part")
        part.write_text(json.dumps([asdict(known[id_]) for id_ in sorted(known)], indent=1))
        part.replace(cache)
    shortest, longest = PLAUSIBLE_CM
    return [known[id_] for id_ in sorted(known) if shortest < known[id_].vtl_cm < longest]


def _read_cache(path: Path) -> dict[str, MeasuredVoice]:
    if not path.exists():
        return {}
    return {voice["id"]: MeasuredVoice(**voice) for voice in json.loads(path.read_text())}


def measure_voice(paths: Sequence[Path]) -> tuple[float, float]:
    """Return (vocal-tract length in cm, median F0 in Hz), averaged over utterances of one voice.

    Both are NaN when no utterance holds enough voiced speech.
    """
    found = []
    for path in paths:
        try:
            found.append(measure_samples(read_speech(path)))
        except NoSpeechError:
            continue
    if not found:
        return float("nan"), float("nan")
    vtl, f0 = np.mean(found, axis=0)
    return round(float(vtl), 3), round(float(f0), 2)


def measure_samples(samples: Float64) -> tuple[float, float]:
    """Return (vocal-tract length in cm, median F0 in Hz) of speech at 16 kHz.

    Raises:
        NoSpeechError: fewer than ten loud voiced frames.
    """
    samples = samples[: int(EXCERPT_S * SAMPLE_RATE)]
    f0_track = track_f0(samples)
    if np.count_nonzero(f0_track) < 40:
        raise NoSpeechError("too little voiced speech to measure: use a longer recording")
    f0, _ = median_and_spread(f0_track)
    voiced_s = np.flatnonzero(f0_track)[::4] * FRAME_S
    formants = formant_frequencies(samples, voiced_s, formant_ceiling(f0))
    if len(formants) < 10:
        raise NoSpeechError("too little voiced speech to measure: use a longer recording")
    return tube_length(np.median(formants, axis=0)) / ABOVE_PRAAT, f0


def tube_length(formants: Float64) -> float:
    """Return the length in cm of the uniform tube that fits F1..Fn (Hz) best."""
    k = np.arange(len(formants)) + 0.5
    spacing = float(formants @ k / (k @ k))
    return SPEED_OF_SOUND_CM / (2.0 * spacing)


def formant_ceiling(f0_hz: float) -> float:
    """Return the frequency below which five formants are looked for (Praat manual's advice)."""
    if f0_hz < 160.0:
        return 5000.0
    return 5500.0 if f0_hz < 270.0 else 6500.0


def formant_frequencies(samples: Float64, times_s: Float64, ceiling_hz: float) -> Float64:
    """Return F1-F4 in Hz, (frames, 4), of the loud frames among those centred on `times_s`.

    Frames with fewer than four resonances are left out.
    """
    import soxr

    rate = 2.0 * ceiling_hz
    low = soxr.resample(samples, SAMPLE_RATE, rate, quality="HQ")
    half = int(WINDOW_S * rate / 2)
    centres = np.round(times_s * rate).astype(int)
    centres = centres[(centres >= half + 1) & (centres < len(low) - half)]
    if not len(centres):
        return np.empty((0, FORMANTS))
    frames = low[centres[:, None] + np.arange(-half, half)]
    energy = (frames**2).sum(axis=1)
    loud = energy > energy.max() * 10 ** (-LOUD_DB / 10)
    emphasised = low.copy()
    emphasised[1:] -= np.exp(-2 * np.pi * PRE_EMPHASIS_HZ / rate) * low[:-1]
    frames = emphasised[centres[loud, None] + np.arange(-half, half)] * _gaussian(2 * half)
    formants = _resonances(_burg(frames, order=10), rate)
    complete: Float64 = formants[np.isfinite(formants).all(axis=1)]
    return complete


def _gaussian(length: int) -> Float64:
    """Return Praat's window: Gaussian, brought down to zero at the edges."""
    position = (np.arange(length) + 0.5 - length / 2) / (length + 1)
    edge = float(np.exp(-12.0))
    window: Float64 = (np.exp(-48.0 * position**2) - edge) / (1.0 - edge)
    return window


def _burg(frames: Float64, order: int) -> Float64:
    """Return predictor polynomials (frames, order + 1) by Burg's method, all frames at once."""
    polynomial = np.zeros((len(frames), order + 1))
    polynomial[:, 0] = 1.0
    forward, backward = frames[:, 1:], frames[:, :-1]
    for step in range(1, order + 1):
        power = (forward**2).sum(axis=1) + (backward**2).sum(axis=1) + 1e-30
        reflection = (-2.0 * (forward * backward).sum(axis=1) / power)[:, None]
        polynomial[:, : step + 1] += reflection * polynomial[:, step::-1]
        forward, backward = (
            (forward + reflection * backward)[:, 1:],
            (backward + reflection * forward)[:, :-1],
        )
    return polynomial


def _resonances(polynomials: Float64, rate: float) -> Float64:
    """Return the four lowest root frequencies in Hz, NaN where there are fewer."""
    order = polynomials.shape[1] - 1
    companion = np.tile(np.eye(order, k=-1), (len(polynomials), 1, 1))
    companion[:, 0, :] = -polynomials[:, 1:]
    roots = np.linalg.eigvals(companion)
    # a root outside the unit circle is reflected inside: its frequency stays
    frequencies = np.angle(roots) * rate / (2 * np.pi)
    usable = (frequencies > 50.0) & (frequencies < rate / 2 - 50.0)
    lowest_first: Float64 = np.sort(np.where(usable, frequencies, np.nan), axis=1)
    return lowest_first[:, :FORMANTS]
