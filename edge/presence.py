"""Lets a command find the daemon that keeps a journal, and make it start anew.

::

    FOLDER/daemon    0600; locked as long as the daemon runs: its process id, its starts so far

The kernel gives the lock back however the daemon ends, so that a stale file misleads nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import signal
import time
from pathlib import Path

from .errors import EarsightError

FILE = "daemon"
PATIENCE_S = 30.0  # a small board takes this long to load its models anew
POLL_S = 0.05

_log = logging.getLogger(__name__)


class Presence:
    """The daemon's side. Belongs to one thread."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._handle = -1
        self._starts = 0

    def show(self, folder: Path) -> None:
        """Say that everything of a configuration runs, with its journal in this folder."""
        self._starts += 1
        try:
            if folder != self._folder:
                self.leave()
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._handle = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                _lock(self._handle)
                self._folder = folder
            text = f"{os.getpid()} {self._starts}\n".encode()
            os.pwrite(self._handle, text, 0)
            os.ftruncate(self._handle, len(text))
        except OSError as exc:
            self.leave()
            taken = isinstance(exc, BlockingIOError)
            why = "another daemon keeps its journal there" if taken else exc.strerror
            _log.warning("%s: %s; earsight forget will not find this daemon", folder, why)

    def leave(self) -> None:
        """Be found no longer."""
        if self._handle >= 0:
            os.close(self._handle)
        self._handle, self._folder = -1, None


def restart_daemon(folder: Path) -> bool:
    """Let the daemon with its journal in a folder read everything anew; return when it has.

    Returns:
        Whether there is one.

    Raises:
        EarsightError: it belongs to somebody else, or does not manage to start anew.
    """
    try:
        handle = os.open(folder / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        found = _running(handle)
        if found is None:
            return False
        process, starts = found
        os.kill(process, signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            time.sleep(POLL_S)
            now = _running(handle)
            if now != (process, starts):
                return now is not None
    except PermissionError as exc:
        raise EarsightError(
            "the daemon is another user's and may still know what is to be forgotten; run this "
            "again as that user: sudo -u earsight earsight forget ..."
        ) from exc
    finally:
        os.close(handle)
    raise EarsightError(
        "the daemon does not start anew and may still know what is to be forgotten; see its log, "
        "then run this again"
    )


def _lock(handle: int) -> None:
    """Lock the file; whoever only looks at it holds it for a moment."""
    for _ in range(10):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(POLL_S)
    raise BlockingIOError


def _running(handle: int) -> tuple[int, int] | None:
    """Return process id and starts of whoever holds the lock, None for nobody."""
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(handle, fcntl.LOCK_UN)
        return None
    while len(fields := os.pread(handle, 64, 0).split()) != 2:
        time.sleep(POLL_S)  # it has just taken the lock
    return int(fields[0]), int(fields[1])
