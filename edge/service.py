"""A good citizen of systemd: tells it how the daemon is, takes its signals, logs at its levels.

Everything is plain sockets and files, so that the daemon is the same without systemd.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Literal

from .errors import StorageError

Command = Literal["stop", "reload", "mute", "mute on", "mute off"]

COMMANDS: Mapping[signal.Signals, Command] = {
    signal.SIGTERM: "stop",
    signal.SIGINT: "stop",
    signal.SIGHUP: "reload",
    signal.SIGUSR1: "mute",  # the other way round
}
EXTENSION_S = 20.0  # asked for at a time while models load: a Pi Zero 2 needs a minute for them
LONGEST_START_S = 300.0  # then the manager may end what hangs, and start it anew
TOO_MANY_FAILURES = 3  # in a row: not the utterance's fault
_PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}  # sd-daemon(3)


class Notifier:
    """Sends a daemon's state to the service manager (sd_notify(3)); without one does nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._status = ""
        self._fed_s = -math.inf
        self.watchdog_s: float | None = None  # the manager kills a daemon silent for so long
        microseconds = environment.get("WATCHDOG_USEC", "")
        if microseconds.isdecimal() and environment.get("WATCHDOG_PID", str(os.getpid())) == str(
            os.getpid()
        ):
            self.watchdog_s = int(microseconds) / 1e6

    def ready(self) -> None:
        """Say that starting, or reloading, is over."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """Say in one line how things are, for `systemctl status`; sent when it changes."""
        if text != self._status:
            self._status = text
            self._send("STATUS=" + " ".join(text.split()))

    def watchdog(self) -> None:
        """Say that the daemon is alive; call it often, it is sent four times per watchdog time."""
        now = time.monotonic()
        if self.watchdog_s is not None and now - self._fed_s >= self.watchdog_s / 4:
            self._fed_s = now
            self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Say that the configuration is read again; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that the daemon ends."""
        self._send("STOPPING=1")

    @contextlib.contextmanager
    def patience(self) -> Iterator[None]:
        """Ask for more time, again and again, as long as the block runs, for five minutes."""
        done = threading.Event()
        until = time.monotonic() + LONGEST_START_S

        def ask() -> None:
            self._send(f"EXTEND_TIMEOUT_USEC={round(EXTENSION_S * 1e6)}")
            while not done.wait(EXTENSION_S / 2) and time.monotonic() < until:
                self._send(f"EXTEND_TIMEOUT_USEC={round(EXTENSION_S * 1e6)}")

        asking = threading.Thread(target=ask, name="patience", daemon=True)
        asking.start()
        try:
            yield
        finally:
            done.set()
            asking.join()

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # an abstract socket is written with @ for its leading zero byte
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with (
            contextlib.suppress(OSError),  # a manager that is gone or busy: never our end
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
        ):
            channel.settimeout(1.0)
            channel.sendto(message.encode(), address)


class Liveness:
    """Whether the daemon gets on: sound arrives, and utterances that wait are looked at.

    A microphone that is absent or muted owes no sound: restarting would not bring it back, and the
    reopening goes on. Any thread may call it.
    """

    def __init__(self, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Take for dead what owes something and gave nothing for `patience_s`."""
        self._patience_s = patience_s
        self._clock = clock
        self._lock = threading.Lock()
        self._sound_s: float | None = None  # when sound last came; None while none is owed
        self._owed = 0  # utterances that wait, with the one being looked at
        self._owed_s: float | None = None  # since when something has been owed without an answer
        self._failures = 0  # in a row

    def sound(self) -> None:
        """Note that sound arrived, or is to arrive from now on."""
        with self._lock:
            self._sound_s = self._clock()

    def no_sound(self) -> None:
        """Note that none is to be expected: no microphone, or muted."""
        with self._lock:
            self._sound_s = None

    def owe(self) -> None:
        """Note that an utterance waits."""
        with self._lock:
            self._owed += 1
            if self._owed_s is None:
                self._owed_s = self._clock()

    def looked(self) -> None:
        """Note that an utterance was looked at."""
        with self._lock:
            self._owed -= 1
            self._failures = 0
            self._owed_s = self._clock() if self._owed else None

    def failed(self) -> None:
        """Note that looking at an utterance raised; a few in a row are a stall."""
        with self._lock:
            self._owed -= 1
            self._failures += 1
            if not self._owed and self._failures < TOO_MANY_FAILURES:
                self._owed_s = None

    def dropped(self) -> None:
        """Note that an utterance was given up for a newer one, which is no progress."""
        with self._lock:
            self._owed -= 1

    def is_alive(self) -> bool:
        """Tell whether nothing that is owed is overdue."""
        with self._lock:
            oldest = self._clock() - self._patience_s
            times = (self._sound_s, self._owed_s)
            return all(since is None or since >= oldest for since in times)


class Signals:
    """Turns signals into commands for one loop, while it is entered. Main thread only."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Command] = queue.SimpleQueue()  # its put is reentrant
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Signals:
        """Take the signals over."""
        for number in COMMANDS:
            self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def wait(self, seconds: float) -> Command | None:
        """Return the next command, None when none comes in time."""
        try:
            return self._queue.get(timeout=seconds)
        except queue.Empty:
            return None

    def put(self, command: Command) -> None:
        """Give the loop a command; any thread may."""
        self._queue.put(command)

    def _take(self, number: int, _: FrameType | None) -> None:
        self._queue.put(COMMANDS[signal.Signals(number)])


class CaptureMark:
    """A file that says whether the microphone is open, for a lamp or a person to follow.

    It holds one word (listening, no_audio, waiting, muted) and exists only while the daemon runs.
    """

    def __init__(self, path: Path | None) -> None:
        """Follow no file when `path` is None."""
        self._path = path

    def show(self, state: str) -> None:
        """Write the state.

        Raises:
            StorageError: the file cannot be written.
        """
        if self._path is None:
            return
        new = self._path.with_name(f".{self._path.name}.new")
        try:
            new.write_text(f"{state}\n", encoding="ascii")
            new.replace(self._path)
        except OSError as exc:
            raise StorageError(
                f"{self._path}: cannot be written ({exc.strerror}); check privacy.capture_file"
            ) from exc

    def remove(self) -> None:
        """Take the file away: nothing listens any more."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()


def log_to_stderr(level: str) -> None:
    """Send log lines to stderr; under systemd with the priority in front that journald reads."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Journal() if "JOURNAL_STREAM" in os.environ else _Plain())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"earsight: {record.levelname.lower()}: {' '.join(record.getMessage().split())}"


class _Journal(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = " ".join(record.getMessage().split())
        return f"<{_PRIORITIES.get(record.levelname, 5)}>{text}"
