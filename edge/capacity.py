"""Is this machine fast enough to listen? Measured at the start, not found out in the field."""

from __future__ import annotations

import logging
from time import perf_counter

import numpy as np

from .audio.file import RATE
from .pipeline import Ear
from .types import Utterance

SPOKEN_S = 4.0  # a usual utterance
MOST = 0.8  # seconds of work for a second of speech that leave room for detector, sinks and others

_log = logging.getLogger(__name__)


def measure(ear: Ear) -> float:
    """Return the seconds that an ear works for a second of speech.

    Looks at a sweep, which costs what a voice does, twice: the first look loads what is needed
    later. For the thread that the ear belongs to, which keeps memory for its work.
    """
    sweep = (0.1 * np.sin(1e-5 * np.square(np.arange(SPOKEN_S * RATE)))).astype(np.float32)
    utterance = Utterance(sweep, 0.0, SPOKEN_S, "capacity")
    ear.look(utterance)
    began = perf_counter()
    ear.look(utterance)
    return (perf_counter() - began) / SPOKEN_S


def rehearse(ear: Ear) -> None:
    """Measure, and say in the log what was found: loudly when it is too much."""
    share = measure(ear)
    _log.log(logging.WARNING if share > MOST else logging.DEBUG, explain(share))


def explain(share: float) -> str:
    """Return one line that says what `measure` found."""
    text = f"a second of speech takes {share:.2g} s"
    if share <= MOST:
        return text
    return f"{text}, more than {MOST:g}: utterances will be dropped; use a faster board or a Coral"
