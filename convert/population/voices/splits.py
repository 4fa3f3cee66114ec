"""Whose base voice a person may get, so that no base voice is heard on both sides of a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..people import Split
from .vocal_tract import MeasuredVoice


def split_voices(voices: Sequence[MeasuredVoice]) -> dict[Split, list[MeasuredVoice]]:
    """Deal the base voices out: of ten speakers seven train, one validates and two test.

    Recorded and synthesised voices are dealt apart, each from the shortest vocal tract to the
    longest, so that every split spans the range of lengths. Two voices of one speaker stay
    together. Depends on nothing but the voices.
    """
    dealt: dict[Split, list[MeasuredVoice]] = {"train": [], "validation": [], "test": []}
    for natural in (True, False):
        of_kind = sorted((v for v in voices if v.natural == natural), key=lambda v: v.vtl_cm)
        speakers = list(dict.fromkeys(v.speaker for v in of_kind))
        for voice in of_kind:
            place = speakers.index(voice.speaker) % 10
            split: Split = "test" if place in (2, 7) else "validation" if place == 9 else "train"
            dealt[split].append(voice)
    return dealt


def allowed_voices(
    split: Split,
    engines: Mapping[Split, Sequence[MeasuredVoice]],
    recorded: Sequence[MeasuredVoice],
) -> Sequence[MeasuredVoice]:
    """Return the base voices that one person may start from.

    Recorded people lie under those who train only: from many real throats the encoder learns what
    voices differ in beyond F0 and vocal tract, while who validates or tests starts from the
    engines' voices, whichever recordings a machine has.

    Args:
        split: the person's.
        engines: the speech engines' voices, `split_voices`.
        recorded: people who recorded words; may be empty.
    """
    if split == "train":
        return [*engines[split], *recorded]
    return engines[split]
