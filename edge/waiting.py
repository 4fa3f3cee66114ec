"""Where utterances wait to be looked at: bounded, and the oldest goes when there is no room."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from .types import Utterance


@dataclass(frozen=True, slots=True)
class Waiting:
    """An utterance in the room."""

    utterance: Utterance
    cut_s: float  # monotonic time at which its end was certain


class WaitingRoom:
    """Hands utterances from one thread to another; when it is full the oldest has to go."""

    def __init__(self, size: int, patient: bool = False) -> None:
        """Hold up to `size`; `patient` lets `put` wait for room, for a file that can wait."""
        self._size = size
        self._patient = patient
        self._queue: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, waiting: Waiting) -> Waiting | None:
        """Add one; return the one that had to go for it."""
        with self._changed:
            if self._patient:
                self._changed.wait_for(lambda: self._closed or len(self._queue) < self._size)
            gone = self._queue.popleft() if len(self._queue) >= self._size else None
            self._queue.append(waiting)
            self._changed.notify_all()
            return gone

    def take(self) -> Waiting | None:
        """Wait for the next; return None once the room is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._queue))
            self._changed.notify_all()
            return self._queue.popleft() if self._queue else None

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._queue)

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def clear(self) -> list[Waiting]:
        """Take out everybody."""
        with self._changed:
            left = list(self._queue)
            self._queue.clear()
            self._changed.notify_all()
            return left
