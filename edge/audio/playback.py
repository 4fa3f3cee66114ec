"""A sound file in a microphone's place: the same blocks, in real time or as fast as they go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..types import Float32
from .file import RATE, stream_recording
from .microphone import AudioBlock, AudioState

BLOCK = RATE // 10  # samples


class Playback:
    """Plays one file, then ends. `mute` and `close` may be called from any thread."""

    def __init__(self, path: Path, fast: bool = False) -> None:
        """Check the whole file.

        Args:
            path: any sound file that `earsight hear` reads.
            fast: do not wait as long as the sound lasts.

        Raises:
            InputError: the file cannot be used.
            RuntimeUnavailable: soundfile or soxr is not installed.
        """
        self.level_dbfs = -120.0
        self._name = str(path)
        self._pieces = stream_recording(path)
        self._fast = fast
        self._muted = False
        self._closed = threading.Event()

    def blocks(self) -> Iterator[AudioBlock | AudioState]:
        """Yield the state, then the file's sound; a state again when it is muted or not."""
        shown: bool | None = None
        first, start = 0, time.monotonic()
        for samples in self._portions():
            first += len(samples)
            wait_s = 0.0 if self._fast else start + first / RATE - time.monotonic()
            if self._closed.wait(max(0.0, wait_s)):
                return
            if shown is not self._muted:
                shown = self._muted
                yield AudioState("muted" if shown else "listening", "", self._name, RATE, 0, 0)
            if not shown:
                power = float(np.square(samples).mean())
                self.level_dbfs = 10 * float(np.log10(max(power, 1e-12)))
                yield AudioBlock(samples, first - len(samples), 0)

    def mute(self, on: bool) -> None:
        """Skip what is played, or no longer."""
        self._muted = on

    def close(self) -> None:
        """End `blocks` soon."""
        self._closed.set()

    def _portions(self) -> Iterator[Float32]:
        for piece in self._pieces:
            for start in range(0, len(piece.samples), BLOCK):
                yield piece.samples[start : start + BLOCK]
