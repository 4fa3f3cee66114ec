"""Is this machine fast enough to listen? Measured before it does, not found out in the field."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from .audio.file import RATE
from .pipeline import Ear
from .types import Utterance

SPOKEN_S = 4.0  # a usual utterance
MOST = 0.8  # seconds of work for a second of speech that leave room for detector, sinks and others


def measure(ear: Ear) -> float:
    """Return the seconds that an ear works for a second of speech, on the CPU.

    Looks at noise, which costs what a voice does, twice: the first time loads what is needed later.
    """
    noise = np.random.default_rng([61]).normal(0, 0.1, round(SPOKEN_S * RATE)).astype(np.float32)
    utterance = Utterance(noise, 0.0, SPOKEN_S, "capacity")
    ear.look(utterance)
    began = perf_counter()
    ear.look(utterance)
    return (perf_counter() - began) / SPOKEN_S


def explain(share: float) -> str:
    """Return one line that says what `measure` found."""
    text = f"a second of speech takes {share:.2g} s"
    if share <= MOST:
        return text
    return f"{text}, more than {MOST:g}: utterances will be dropped; use a faster board or a Coral"
