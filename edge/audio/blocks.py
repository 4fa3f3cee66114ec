"""Turns what a capture stream delivers into 16 kHz blocks with a place on one time line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..types import Float32
from .conditioning import Conditioner
from .file import RATE
from .resample import StreamResampler
from .ring import Frames

GARBAGE_S = 0.25  # MEMS microphones settle and I2S clocks lock for about 0.1 s after opening
SETTLE_S = 0.1  # of sound in the first portion, which the DC offset is first estimated from


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """The next sound from the microphone."""

    samples: Float32  # (n,), n > 0, 16 kHz mono, nominal range -1..1, free of DC
    first: int  # index of its first sample since capture began, lost ones counted
    lost: int  # samples missing just before it


class TimeLine:
    """Places samples of successive streams: the time between two streams is lost samples."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None  # when sample 0 was captured, by the clock
        self._next = 0

    def resume(self, samples: int) -> int:
        """Return how many samples were lost before a new stream's first, which arrived now."""
        captured = self._clock() - samples / RATE
        if self._began is None:
            self._began = captured
        return max(0, round((captured - self._began) * RATE) - self._next)

    def place(self, samples: Float32, lost: int) -> AudioBlock:
        """Return samples as the block that follows `lost` missing ones."""
        first = self._next + lost
        self._next = first + len(samples)
        return AudioBlock(samples, first, lost)


class BlockMaker:
    """The state of one stream: feed it what the ring gives, take blocks out."""

    def __init__(self, conditioner: Conditioner, rate: int, line: TimeLine) -> None:
        self._conditioner = conditioner
        self._rate = rate
        self._line = line
        self._resampler = StreamResampler(rate)
        self._expected = round(GARBAGE_S * rate)  # index of the next frame if nothing is lost
        self._opening: list[Frames] | None = []  # the first good frames, short of a portion
        self._missing = 0  # frames lost in this stream
        self._lost = 0  # the same, in samples, already given out
        self._waiting = 0  # samples lost that no block has carried yet
        self._started = False

    def feed(self, frames: Frames, first: int) -> Iterator[AudioBlock]:
        """Take frames (n, channels) with the index of the first; yield the blocks ready."""
        if self._opening is not None:
            end = first + len(frames)
            self._opening.append(frames[max(0, self._expected - first) :])
            frames = np.concatenate(self._opening)
            if len(frames) < SETTLE_S * self._rate:
                return
            self._opening = None
            first = self._expected = end - len(frames)  # what was lost till here is no loss
        if gap := first - self._expected:
            yield from self._emit(self._resampler.flush())
            self._missing += gap
            lost = round(self._missing * RATE / self._rate)
            self._waiting += lost - self._lost
            self._lost = lost
        self._expected = first + len(frames)
        yield from self._emit(self._resampler.feed(self._conditioner.feed(frames)))

    def _emit(self, samples: Float32) -> Iterator[AudioBlock]:
        if len(samples):
            if not self._started:
                self._started = True
                self._waiting = self._line.resume(len(samples))
            block = self._line.place(samples, self._waiting)
            self._waiting = 0
            yield block
