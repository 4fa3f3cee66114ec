"""Speakers who are recordings played faster or slower: voices that no vocoder touched.

Everybody else in the population passes through WORLD, and nobody does who speaks to a device. An
encoder that knew vocoded voices only heard real ones 1.1 % shorter once WORLD had analysed and
synthesised them, without any change; one that knows these speakers too hears them .7 % shorter.
Measured once, no command repeats it. Played at another speed, a recording keeps its melody and its
voice, and its F0 and vocal tract change by one factor, which is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from convert.recipe import PopulationRecipe

from ..law import VOICE_ONLY_F0_HZ, VOICE_ONLY_TRACT_CM, Person, draw_person
from .speech import SAMPLE_RATE, Float64
from .vocal_tract import MeasuredVoice
from .world import Int16, cut

SPEEDS = (0.82, 1.28)  # assumption: beyond, a recording sounds like no speaker
SPEED_KEY = 13  # keeps these draws apart from others made from the person's seed


def draw_resampled(
    recipe: PopulationRecipe, seed: int, voices: Sequence[MeasuredVoice]
) -> list[Person]:
    """Draw the resampled speakers, who train; their numbers follow those of `voice_only`.

    Args:
        recipe: how many.
        seed: of the population.
        voices: base voices of the training split; of them those cut from recordings of a person
            whose sex is known. Without any, nobody is drawn.
    """
    usable = [v for v in voices if v.natural and v.male is not None and _slowest(v) < _fastest(v)]
    numbers = range(recipe.voice_only, recipe.voice_only + recipe.resampled) if usable else ()
    return [_at_some_speed(draw_person("voice_only", i, seed), usable) for i in numbers]


def play(speech: Float64, speed: float, rng: np.random.Generator) -> Int16 | None:
    """Return a clip, int16 (51200,), of an utterance at `speed` times its F0, formants and tempo.

    Slower than it was, it holds nothing above `speed` times 8 kHz. None when it is too short.
    """
    import soxr

    return cut(soxr.resample(speech, SAMPLE_RATE * speed, SAMPLE_RATE, quality="HQ"), rng)


def _at_some_speed(person: Person, voices: Sequence[MeasuredVoice]) -> Person:
    rng = np.random.default_rng([person.seed, SPEED_KEY])
    voice = voices[int(rng.integers(len(voices)))]
    speed = math.exp(rng.uniform(math.log(_slowest(voice)), math.log(_fastest(voice))))
    male = bool(voice.male)
    return replace(
        person, male=male, recorded=True, recorded_male=male, resampled=voice.id,
        f0_hz=voice.f0_hz * speed, vtl_cm=voice.vtl_cm / speed,
    )  # fmt: skip


def _slowest(voice: MeasuredVoice) -> float:
    return max(SPEEDS[0], VOICE_ONLY_F0_HZ[0] / voice.f0_hz, voice.vtl_cm / VOICE_ONLY_TRACT_CM[1])


def _fastest(voice: MeasuredVoice) -> float:
    return min(SPEEDS[1], VOICE_ONLY_F0_HZ[1] / voice.f0_hz, voice.vtl_cm / VOICE_ONLY_TRACT_CM[0])
