"""Which base voices each split may use, so that no base voice is heard on both sides of a split."""

from __future__ import annotations

from collections.abc import Sequence

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
