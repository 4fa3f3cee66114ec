"""How fast the base voices speak, on which all of them agree.

Engines speak at rates of their own, and syllables per second do not compare one language with
another. So, as with lengths (agreement.py), a voice is as fast as the others say: a regression from
features to tempo, learnt from all other speakers' voices at many tempos, hears this one. What a
person's tempo says of age is then heard alike whichever voice they start from. A trained voice
encoder heard two of the test split's recorded voices 13 % too fast and 16 % too slow before; the
regression says 13 and 15 of them. Measured once, no command repeats it.

Features are how the level of each band of the spectrum moves: the power of its modulation at rates
of 1 to 30 Hz, and how much it changes from frame to frame.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from convert.parallel import each

from .agreement import Examples, agreed_base, corrections
from .speech import SAMPLE_RATE, Float64, read_speech
from .tts import base_utterances
from .vocal_tract import MeasuredVoice

CACHE_NAME = "paces.json"
UTTERANCES = 16  # per voice
EXAMPLES = 3  # per utterance
LN_TEMPO = 0.35  # examples are up to this much faster or slower
SHORTEST_S = 2.0
FRAME_S = 0.01
WINDOW = 512  # samples
EDGES_HZ = (100.0, 300.0, 500.0, 800.0, 1200.0, 1800.0, 2600.0, 3800.0, 5500.0, 7800.0)
RANGE = 9.0  # natural log of power: quieter is as good as silent
MODULATION_HZ = tuple(np.geomspace(1.0, 30.0, 25).tolist())  # edges
TRANSFORM = 1024  # frames
FLOOR = 1e-4


def heard_base(folder: Path, workers: int = 2, progress: bool = True) -> list[MeasuredVoice]:
    """Return the base voices in `folder` with lengths and paces on which they agree.

    Results are kept in `folder/paces.json`, so a second call only reads.
    """
    from tqdm import tqdm

    voices = agreed_base(folder, workers, progress)
    cache = folder / CACHE_NAME
    known = json.loads(cache.read_text()) if cache.exists() else {}
    if set(known) != {voice.id for voice in voices}:
        made = each(partial(_examples, base_utterances(folder)), voices, workers)
        title = "paces agree"
        examples = list(tqdm(made, total=len(voices), desc=title, disable=not progress))
        paces = np.exp(corrections(voices, examples))
        known = {v.id: round(float(p), 4) for v, p in zip(voices, paces, strict=True)}
        part = cache.with_suffix(".part")
        part.write_text(json.dumps(known, indent=1))
        part.replace(cache)
    return [replace(voice, pace=known[voice.id]) for voice in voices]


def _examples(utterances: dict[str, list[Path]], voice: MeasuredVoice) -> Examples:
    """Return examples of one voice at many tempos; a pure function of its utterances."""
    rng = np.random.default_rng(zlib.crc32(voice.id.encode()))
    features, tempos = [], []
    for path in utterances[voice.id][:UTTERANCES]:
        samples = read_speech(path)
        if len(samples) < SHORTEST_S * SAMPLE_RATE:
            continue
        levels = band_levels(samples)
        for _ in range(EXAMPLES):
            ln_tempo = rng.uniform(-LN_TEMPO, LN_TEMPO)
            features.append(modulation(faster(levels, float(np.exp(ln_tempo)))))
            tempos.append(ln_tempo)
    return Examples(np.array(features), np.array(tempos))


def band_levels(samples: Float64) -> Float64:
    """Return the log power (frames, 9) of bands of speech at 16 kHz, every 10 ms."""
    hop = int(FRAME_S * SAMPLE_RATE)
    starts = np.arange((len(samples) - WINDOW) // hop) * hop
    frames = samples[starts[:, None] + np.arange(WINDOW)] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.searchsorted(np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE), EDGES_HZ)
    levels = np.log(np.add.reduceat(power, edges, axis=1)[:, :-1] + 1e-12)
    loudest = np.percentile(levels.max(axis=1), 95)
    return np.asarray(np.maximum(levels, loudest - RANGE))


def faster(levels: Float64, tempo: float) -> Float64:
    """Return levels (frames, bands) as they would be at `tempo` times the speed."""
    place = np.linspace(0.0, len(levels) - 1.0, int(len(levels) / tempo))
    below = np.minimum(place.astype(int), len(levels) - 2)
    share = (place - below)[:, None]
    return np.asarray(levels[below] * (1.0 - share) + levels[below + 1] * share)


def modulation(levels: Float64) -> Float64:
    """Return (d,): how fast each band's level moves; its loudness and range play no part."""
    changes = np.abs(np.diff(levels, axis=0))
    activity = np.log((changes.mean(axis=0) + FLOOR) / (levels.std(axis=0) + 1e-2))
    away = (levels - levels.mean(axis=0)) * np.hanning(len(levels))[:, None]
    power = np.abs(np.fft.rfft(away, TRANSFORM, axis=0)) ** 2
    below = np.cumsum(power, axis=0)
    rates = np.fft.rfftfreq(TRANSFORM, FRAME_S)
    at_edges = np.stack([np.interp(MODULATION_HZ, rates, band) for band in below.T], axis=1)
    parts = np.diff(at_edges, axis=0)
    shares = np.log(parts / (parts.sum(axis=0) + 1e-9) + FLOOR)
    return np.concatenate([activity, shares.ravel()])
