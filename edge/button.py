"""The mute button: key presses of one input device of the kernel (evdev), read without a library.

A button on a GPIO pin with the device-tree overlay `gpio-key` is such a device; debouncing is the
kernel's. Events: https://docs.kernel.org/input/input.html#event-interface
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import struct
import threading
from collections.abc import Callable
from pathlib import Path

EVENT = struct.Struct("@LLHHi")  # seconds, microseconds, type, code, value
KEY, PRESSED = 1, 1  # EV_KEY; a key held down repeats with 2
ABSENT_S = 2.0  # between two looks for a device that is not there
POLL_S = 0.5  # how soon the end is noticed

_log = logging.getLogger(__name__)


class Button:
    """Calls back for each press, from a thread of its own, until closed.

    A device that is absent, not permitted or pulled out is waited for.
    """

    def __init__(self, path: Path, pressed: Callable[[], None]) -> None:
        """Begin to follow the device; any key of it counts."""
        self._path = path
        self._pressed = pressed
        self._ended = threading.Event()
        self._there: bool | None = None  # unknown yet
        threading.Thread(target=self._run, name="button", daemon=True).start()

    def close(self) -> None:
        """Call back no more, and let go of the device soon."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                handle = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    if not self._there:
                        _log.info("button %s is there", self._path)
                    self._there = True
                    self._follow(handle)
                finally:
                    os.close(handle)
            except OSError as exc:
                self._miss(exc)
            self._ended.wait(ABSENT_S)

    def _follow(self, handle: int) -> None:
        """Read until the device goes, which raises OSError or ends the file."""
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        while not self._ended.is_set():
            if not waiting.poll(1e3 * POLL_S):
                continue
            data = b""
            with contextlib.suppress(BlockingIOError):
                data = os.read(handle, 64 * EVENT.size)
                if not data:
                    return
            whole = len(data) // EVENT.size * EVENT.size  # the kernel gives whole events only
            for _, _, kind, _, value in EVENT.iter_unpack(data[:whole]):
                if (kind, value) == (KEY, PRESSED) and not self._ended.is_set():
                    self._pressed()

    def _miss(self, exc: OSError) -> None:
        """Log once for each time the device is away; a device without a button never had one."""
        if self._there is not False:
            never = self._there is None and isinstance(exc, FileNotFoundError)
            level = logging.DEBUG if never else logging.WARNING
            _log.log(level, "button %s: %s; waiting for it", self._path, exc.strerror)
        self._there = False
