"""Vocal-tract lengths of the base voices on which all of them agree.

Formants measure a length to some five percent only: a tracker that takes a nasal for F2 makes a
whole voice too short. A voice sounds as long as the others say it does: a linear regression from
spectra to length, learnt from all other speakers' voices stretched to many lengths, hears this one,
and the length moves towards what it hears. A trained voice encoder's own error on 26 voices it had
never heard was 4.0 % against the formants' lengths and 2.8 % against these (standard deviation
between voices). Measured once, no command repeats it, and the features below were chosen by it: 18
of the 26 belong to the test split.

Features are those that survive a microphone: over voiced frames, the spread of each band of the
smoothed log spectrum, its slope from band to band, and which bands rise and fall together, with the
formant nodes, equaliser and tilt of `VoiceCharacter` drawn anew for every example.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from convert.parallel import each

from ..law import RECORDED_SHARE
from .character import (
    LONGEST_STRETCH_VOICE_ONLY,
    SHORTEST_STRETCH,
    draw_equaliser,
    draw_warp,
)
from .speech import FRAME_S, SAMPLE_RATE, Float64, read_speech, track_f0
from .tts import base_utterances
from .vocal_tract import MeasuredVoice, measure_base
from .world import NYQUIST_HZ, colour_db, formant_shift

CACHE_NAME = "lengths.json"
UTTERANCES = 12  # per voice
EXAMPLES = 48  # per voice
LENGTHS_CM = (11.5, 19.5)  # the examples are stretched to
BANDS = 40
LOWEST_HZ, HIGHEST_HZ = 150.0, 7000.0  # centres of the bands, evenly in mel
EVERY = 3  # frames of 5 ms; one in three is used
QUIETEST = 20  # percent of the voiced frames are left out
FEWEST_FRAMES = 13  # of an utterance
APART = (2, 4, 6, 8, 12)  # bands whose correlation is taken
RIDGE = 100.0
ROUNDS, STEP = 2, 0.7  # the first takes .7 of what is heard, the second of what is left
TILT_SD_DB = 2.0  # per octave above 1 kHz


@dataclass(frozen=True, slots=True)
class Examples:
    """One voice, changed in many ways."""

    features: Float64  # (n, d)
    told: Float64  # (n,) log of the length or tempo given to each, as the voice itself was measured


def agreed_base(folder: Path, workers: int = 2, progress: bool = True) -> list[MeasuredVoice]:
    """Measure every base voice in `folder` (`measure_base`), and let their lengths agree.

    Results are kept in `folder/lengths.json`, so a second call only reads.
    """
    from tqdm import tqdm

    voices = measure_base(folder, workers, progress)
    cache = folder / CACHE_NAME
    measured = {voice.id: voice.vtl_cm for voice in voices}
    if cache.exists():
        kept = json.loads(cache.read_text())
        if kept["measured"] == measured:
            return [replace(voice, vtl_cm=kept["agreed"][voice.id]) for voice in voices]
    utterances = base_utterances(folder)
    made = each(partial(_examples, utterances), voices, workers)
    title = "vocal tracts agree"
    examples = list(tqdm(made, total=len(voices), desc=title, disable=not progress))
    factors = np.exp(corrections(voices, examples))
    agreed = [
        replace(voice, vtl_cm=round(float(voice.vtl_cm * factor), 3))
        for voice, factor in zip(voices, factors, strict=True)
    ]
    part = cache.with_suffix(".part")
    content = {"measured": measured, "agreed": {voice.id: voice.vtl_cm for voice in agreed}}
    part.write_text(json.dumps(content, indent=1))
    part.replace(cache)
    return agreed


def corrections(voices: Sequence[MeasuredVoice], examples: Sequence[Examples]) -> Float64:
    """Return by how much the log of what was measured should grow, (voices,), mean 0.

    A voice is heard by a regression that knows no voice of its speaker.
    """
    told = [e.features for e in examples if len(e.features)]
    if not told:
        return np.zeros(len(voices))
    features = np.concatenate(told)
    features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-9)
    owner = np.repeat(np.arange(len(voices)), [len(e.told) for e in examples])
    measured = np.concatenate([e.told for e in examples])
    weight = _weights(voices, owner)
    grown = np.zeros(len(voices))
    for _ in range(ROUNDS):
        heard = _heard(voices, owner, features, measured + grown[owner], weight)
        grown += STEP * heard
    return np.asarray(grown - grown.mean())


def _heard(
    voices: Sequence[MeasuredVoice], owner: Float64, features: Float64, wanted: Float64,
    weight: Float64,
) -> Float64:  # fmt: skip
    """Return how much more than `wanted` each voice is heard to be by the others, (voices,)."""
    everything = (features * weight[:, None]).T @ features
    longer = np.zeros(len(voices))
    for speaker in dict.fromkeys(voice.speaker for voice in voices):
        own = [i for i, voice in enumerate(voices) if voice.speaker == speaker]
        out = np.isin(owner, own)
        if out.all() or not out.any():
            continue
        left, weighed = features[out], weight[~out]
        gram = everything - (left * weight[out, None]).T @ left + RIDGE * np.eye(left.shape[1])
        mean = np.average(wanted[~out], weights=weighed)
        slope = np.linalg.solve(gram, (features[~out].T * weighed) @ (wanted[~out] - mean))
        error = left @ slope + mean - wanted[out]
        for i in own:
            if (mine := owner[out] == i).any():
                longer[i] = error[mine].mean()
    return longer


def _weights(voices: Sequence[MeasuredVoice], owner: Float64) -> Float64:
    """Return the weight of each example, mean 1: recordings as in the population."""
    recorded = np.array([voice.natural for voice in voices])[owner]
    if recorded.all() or not recorded.any():
        return np.ones(len(owner))
    share = np.where(
        recorded, RECORDED_SHARE / recorded.sum(), (1 - RECORDED_SHARE) / (~recorded).sum()
    )
    return np.asarray(share * len(owner))


def _examples(utterances: dict[str, list[Path]], voice: MeasuredVoice) -> Examples:
    """Return examples of one voice at many lengths; a pure function of its utterances."""
    rng = np.random.default_rng(zlib.crc32(voice.id.encode()))
    spectra = [_voiced_spectra(path, rng) for path in utterances[voice.id][:UTTERANCES]]
    spectra = [s for s in spectra if len(s) >= FEWEST_FRAMES]
    features, lengths = [], []
    for _ in range(EXAMPLES if spectra else 0):
        length = np.exp(rng.uniform(*np.log(LENGTHS_CM)))
        stretch = voice.vtl_cm / length
        if SHORTEST_STRETCH < stretch < LONGEST_STRETCH_VOICE_ONLY:
            heard = spectra[int(rng.integers(len(spectra)))]
            features.append(_features(_stretched(heard, stretch, rng)))
            lengths.append(np.log(length))
    return Examples(np.array(features), np.array(lengths))


def _voiced_spectra(path: Path, rng: np.random.Generator) -> Float64:
    """Return the log power spectra of an utterance's loud voiced frames, (frames, 513)."""
    import pyworld

    samples = read_speech(path)
    samples = np.ascontiguousarray(samples + rng.normal(0.0, 1e-5, len(samples)))
    f0 = track_f0(samples)
    times = np.arange(len(f0)) * FRAME_S
    spectra = np.log(pyworld.cheaptrick(samples, f0, times, SAMPLE_RATE))
    voiced = spectra[f0 > 0]
    if not len(voiced):
        return np.empty((0, spectra.shape[1]))
    level = voiced.mean(axis=1)
    loud: Float64 = voiced[level > np.percentile(level, QUIETEST)][::EVERY]
    return loud


def _stretched(spectra: Float64, stretch: float, rng: np.random.Generator) -> Float64:
    """Return (frames, BANDS): shifted formants through a random microphone, level removed."""
    lowest, highest = np.log1p(np.array([LOWEST_HZ, HIGHEST_HZ]) / 700.0)
    centres = 700.0 * np.expm1(np.linspace(lowest, highest, BANDS))
    warp = formant_shift(centres, draw_warp(rng))
    last = spectra.shape[1] - 1
    place = np.clip(centres / (stretch * warp) / NYQUIST_HZ * last, 0.0, last)
    below = np.minimum(place.astype(int), last - 1)
    share = place - below
    bands = spectra[:, below] * (1.0 - share) + spectra[:, below + 1] * share
    colour = colour_db(centres, draw_equaliser(rng), rng.normal(0.0, TILT_SD_DB))
    bands += colour * (np.log(10.0) / 10.0)
    return np.asarray(bands - bands.mean(axis=1, keepdims=True))


def _features(bands: Float64) -> Float64:
    """Return (d,): spread and slope of each band, correlations of bands some way apart."""
    away = bands - bands.mean(axis=0)
    spread = bands.std(axis=0)
    parts = [spread, np.abs(np.diff(bands, axis=1)).mean(axis=0)]
    for apart in APART:
        together = (away[:, :-apart] * away[:, apart:]).mean(axis=0)
        parts.append(together / (spread[:-apart] * spread[apart:] + 1e-6))
    return np.concatenate(parts)
