"""Carries sound from the PortAudio callback to the capture thread without either waiting.

One writer, one reader. Every frame has an absolute index, so that what was lost, because the reader
came too late or because the driver said so, shows as a jump in the indices and nowhere as silence.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[Any]  # (n, channels), the ring's dtype


class Ring:
    """The last seconds of a stream; the oldest frames give way when the reader is late.

    The channels stay apart and the driver's integers stay as they are: choosing and scaling is work
    for the reader's thread, not for a callback.
    """

    def __init__(
        self, seconds: float, rate: int, channels: int = 1, dtype: npt.DTypeLike = np.float32
    ) -> None:
        self._frames: Frames = np.zeros((max(1, round(seconds * rate)), channels), dtype)
        self._claimed = 0  # end of what the writer may be overwriting just now
        self._written = 0  # end of what can be read
        self._read = 0  # start of what has not been
        self._gaps: deque[tuple[int, int]] = deque()  # index ranges that were never captured
        self._reported = 0  # gaps the driver told of
        self._overtaken = 0  # times the reader was too late
        # A bare lock as a signal: releasing it never blocks, which Event.set may.
        self._news = threading.Lock()
        self._news.acquire()

    @property
    def overruns(self) -> int:
        """Times that frames were lost, of whichever cause."""
        return self._reported + self._overtaken

    @property
    def written(self) -> int:
        """Index of the frame to come."""
        return self._written

    def write(self, frames: Frames, lost: int = 0) -> None:
        """Append frames (n, channels), of which `lost` are missing before the first.

        Called from the audio callback: copies, and neither blocks nor fails.
        """
        start = self._written + lost
        if lost:
            self._gaps.append((self._written, start))
            self._reported += 1
        end = start + len(frames)
        self._claimed = end
        size = len(self._frames)
        kept = frames[-size:]
        position = (end - len(kept)) % size
        head = min(len(kept), size - position)
        self._frames[position : position + head] = kept[:head]
        self._frames[: len(kept) - head] = kept[head:]
        self._written = end
        if self._news.locked():
            self._news.release()

    def read(self, max_frames: int, timeout_s: float) -> tuple[Frames, int] | None:
        """Return the oldest unread frames (1..max_frames, channels) and the index of the first.

        None when none came within `timeout_s` seconds. An index above the end of the frames read
        before is a gap.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            if (taken := self._take(max_frames)) is not None:
                return taken
            left = deadline - time.monotonic()
            if left <= 0 or not self._news.acquire(timeout=left):
                return self._take(max_frames)

    def _take(self, max_frames: int) -> tuple[Frames, int] | None:
        size = len(self._frames)
        while True:
            while self._gaps and self._gaps[0][0] <= self._read:
                self._read = max(self._read, self._gaps.popleft()[1])
            if self._read < self._claimed - size:
                self._overtaken += 1
                # room for the writer, or it overtakes again during the copy
                self._read = self._claimed - size + size // 4
                continue
            end = min(self._written, self._read + max_frames)
            if self._gaps:
                end = min(end, self._gaps[0][0])
            if end <= self._read:
                return None
            frames = np.take(self._frames, np.arange(self._read, end), axis=0, mode="wrap")
            if self._read >= self._claimed - size:  # else the writer came in between
                first, self._read = self._read, end
                return frames, first
