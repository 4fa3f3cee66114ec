"""Which voices fit a face: those enrolled, and those of the journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..types import Float32


@dataclass(frozen=True, slots=True)
class KnownVoice:
    """A voice to compare a face with."""

    who: str  # "Ada (u0001)", or when it was heard
    detail: str  # a file, a decision; may be ""
    embedding: Float32  # (d,), unit length


@dataclass(frozen=True, slots=True)
class VoiceMatch:
    """A voice ranked for a face."""

    rank: int  # 1 is the best
    score: float  # cosine, -1..1
    voice: KnownVoice


def rank_voices(face: Float32, voices: Iterable[KnownVoice], top: int) -> tuple[VoiceMatch, ...]:
    """Rank the `top` voices that fit a face (d,) best; equal scores keep the order given."""
    known = list(voices)
    if not known:
        return ()
    products = np.stack([voice.embedding for voice in known]) * face
    scores = np.clip(products.sum(axis=1), -1.0, 1.0)  # not BLAS: equal rows, equal sums
    best = np.argsort(-scores, kind="stable")[:top]
    return tuple(
        VoiceMatch(rank, float(scores[i]), known[i]) for rank, i in enumerate(best, start=1)
    )
