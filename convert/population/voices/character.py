"""What makes a voice its own beyond the person's acoustics: base voice, warp, colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.errors import ConfigError

from ..law import Person
from .vocal_tract import MeasuredVoice

SHORTEST_STRETCH, LONGEST_STRETCH = 0.70, 1.42  # beyond, the vocoder is heard
LONGEST_STRETCH_VOICE_ONLY = 1.5  # these people reach further: F0 and vocal tract are independent
NEAREST = 4  # base voices to choose from when none is within the limits
WARP_SD = 0.025
EQ_SD_DB = 2.0
CHARACTER_KEY = 7  # keeps these draws apart from others made from the person's seed


@dataclass(frozen=True, slots=True)
class VoiceCharacter:
    """The voice's own traits; a pure function of the person's seed and the allowed base voices."""

    base: str  # id of the base voice
    stretch: float  # vocal-tract length of the base over that of the person
    warp_nodes: tuple[float, ...]  # 7 relative formant shifts, mean 0, evenly from 0 to 8 kHz
    eq_db: tuple[float, ...]  # 9 gains, evenly in log frequency from 80 to 8080 Hz
    tremor_hz: float  # 4..7
    pace: float  # how fast the base voice speaks, 1 is usual


def draw_character(person: Person, allowed: Sequence[MeasuredVoice]) -> VoiceCharacter:
    """Draw the character of one person.

    The recording under an adult's voice is of the sex that the law drew; else any voice serves, as
    long as the spectrum need not be stretched too far. Who is resampled starts from the voice that
    was drawn with the person. One person with the same `allowed` voices always gets the same
    character; pass the voices of one side of a split to keep the base voices of its sides apart
    (`MeasuredVoice.speaker`).

    Raises:
        ConfigError: `allowed` is empty.
    """
    if not allowed:
        raise ConfigError("no base voice to choose from: let speak_base fill the folder first")
    rng = np.random.default_rng([person.seed, CHARACTER_KEY])
    base = _choose_base(person, allowed, rng)
    return VoiceCharacter(
        base=base.id,
        stretch=base.vtl_cm / person.vtl_cm,
        warp_nodes=draw_warp(rng),
        eq_db=draw_equaliser(rng),
        tremor_hz=float(rng.uniform(4.0, 7.0)),
        pace=base.pace,
    )


def draw_warp(rng: np.random.Generator) -> tuple[float, ...]:
    """Draw the nodes of a formant warp; their mean is 0, so that the tube keeps its length."""
    nodes = rng.normal(0.0, WARP_SD, 7)
    return tuple((nodes - nodes.mean()).tolist())


def draw_equaliser(rng: np.random.Generator) -> tuple[float, ...]:
    """Draw the gains of an equaliser, dB."""
    return tuple(rng.normal(0.0, EQ_SD_DB, 9).tolist())


def _choose_base(
    person: Person, allowed: Sequence[MeasuredVoice], rng: np.random.Generator
) -> MeasuredVoice:
    longest = LONGEST_STRETCH_VOICE_ONLY if person.kind == "voice_only" else LONGEST_STRETCH
    choice = float(rng.random())
    if person.resampled:
        return next(voice for voice in allowed if voice.id == person.resampled)
    within = [v for v in allowed if SHORTEST_STRETCH < v.vtl_cm / person.vtl_cm < longest]
    wanted = [v for v in within if _of_wanted_sex(v, person)]
    pool = [v for v in wanted if v.natural == person.recorded] or wanted or within
    if not pool:  # the smallest children: the shortest vocal tracts there are
        pool = sorted(allowed, key=lambda v: abs(np.log(v.vtl_cm / person.vtl_cm)))[:NEAREST]
    return pool[int(choice * len(pool))]


def _of_wanted_sex(voice: MeasuredVoice, person: Person) -> bool:
    if person.kind == "paired" and person.age_class == "child":
        return True
    return voice.male in (None, person.recorded_male)
