"""Processes that read photos, and outlive what a hostile photo does to one of them.

A decoder that crashes, or never ends, takes its process along: the photo is named as the cause and
another process takes the place. (`concurrent.futures` gives up all its work then.)
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from ..bundle import load_bundle
from ..errors import EarsightError, InputError, RuntimeUnavailable
from ..face.photo import read_file
from .enrolment import PhotoEnroller
from .person import Sample

LONGEST_S = 120.0  # for one photo; a Pi Zero 2 needs about 2 s for a large one
STARTING_S = 600.0  # until a process has imported everything and opened the models
AHEAD = 16  # photos per process that may be done before an earlier one
_READY = "\0ready"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo."""

    path: Path
    sample: Sample | None  # None when it was refused
    reason: str  # why, "" when it was not


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_photos(
    paths: Iterable[Path], bundle: Path, workers: int
) -> Generator[Outcome, None, None]:
    """Yield what becomes of each photo, in the order given.

    Closing the iterator ends the processes.

    Args:
        paths: of picture files.
        bundle: the directory of the bundle whose models are used.
        workers: how many processes, at least 1.

    Raises:
        RuntimeUnavailable: no process could be started.
        EarsightError: what kept a process from opening the models.
    """
    crew = [_Worker(bundle) for _ in range(workers)]
    tasks = enumerate(paths)
    done: dict[int, Outcome] = {}
    first, begun, exhausted = 0, 0, False  # the next to yield, the number handed out
    try:
        while True:
            while first in done:
                yield done.pop(first)
                first += 1
            for worker in crew:
                if worker.idle and not exhausted and begun - first < AHEAD * workers:
                    task = next(tasks, None)
                    if task is None:
                        exhausted = True
                    else:
                        worker.begin(*task)
                        begun += 1
            if exhausted and first == begun:
                return
            for worker in _ready(crew):
                finished = worker.take()
                if finished is not None:
                    done[finished[0]] = finished[1]
    finally:
        for worker in crew:
            worker.end()


def _ready(crew: list[_Worker]) -> list[_Worker]:
    """Wait for a message, a death or a deadline; return the workers concerned."""
    of = {thing: w for w in crew for thing in (w.connection, w.process.sentinel)}
    deadline = min(worker.deadline for worker in crew)
    patience_s = None if math.isinf(deadline) else max(0.0, deadline - time.monotonic())
    concerned = {id(of[thing]) for thing in wait(list(of), patience_s)}  # type: ignore[index]
    now = time.monotonic()
    return [w for w in crew if id(w) in concerned or w.deadline <= now]


class _Worker:
    """One process, seen from the parent."""

    def __init__(self, bundle: Path) -> None:
        self._bundle = bundle
        self._task: tuple[int, Path] | None = None
        self._failed = False  # this photo was in hand when a process died before
        self._start()

    @property
    def idle(self) -> bool:
        """Tell whether it can be given a photo."""
        return self._open and self._task is None

    def begin(self, index: int, path: Path) -> None:
        """Hand it a photo."""
        self._task = (index, path)
        self._failed = False
        self._send()

    def take(self) -> tuple[int, Outcome] | None:
        """Return the index and outcome of its photo if there is one, starting it anew if it died.

        Raises:
            EarsightError: it could not open the models.
        """
        try:
            message = self.connection.recv() if self.connection.poll() else None
        except (EOFError, OSError):
            message = None
        if isinstance(message, EarsightError):
            raise message
        if message == _READY:
            self._open, self.deadline = True, math.inf
            if self._task is not None:
                self._send()
        elif isinstance(message, Sample | str):
            return self._finished(message)
        elif not self.process.is_alive() or self.deadline <= time.monotonic():
            return self._replaced()
        return None

    def end(self) -> None:
        """Kill it: it holds nothing that could be lost."""
        self.process.kill()
        self.process.join()
        self.connection.close()

    def _start(self) -> None:
        # spawned, not forked: the parent may have an interpreter's threads running
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self._bundle), daemon=True)
        self.process.start()
        theirs.close()
        self._open = False
        self.deadline = time.monotonic() + STARTING_S

    def _send(self) -> None:
        if self._task is not None:
            self.deadline = time.monotonic() + LONGEST_S
            with contextlib.suppress(OSError):  # it has just died, as `take` will see
                self.connection.send(self._task[1])

    def _finished(self, message: Sample | str) -> tuple[int, Outcome] | None:
        if self._task is None:
            return None
        (index, path), self._task = self._task, None
        self.deadline = math.inf
        if isinstance(message, Sample):
            return index, Outcome(path, message, "")
        return index, Outcome(path, None, message)

    def _replaced(self) -> tuple[int, Outcome] | None:
        """Put a new process in the place of a dead or endless one.

        The photo in hand is tried a second time: the first death may have been another's fault,
        when memory ran out.
        """
        slow, opened = self.process.is_alive(), self._open
        self.end()
        if not opened:
            raise RuntimeUnavailable(
                f"a process that reads photos ended with {self.process.exitcode} before it began; "
                "free some memory and run the same command again"
            )
        self._start()
        if self._task is None or not (self._failed or slow):
            self._failed = True
            return None
        reason = f"took more than {LONGEST_S:.0f} s" if slow else "crashed the picture decoder"
        return self._finished(f"{reason}; save it again as JPEG or PNG")


def _serve(connection: Connection, bundle: Path) -> None:
    """Read photos until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        try:
            enroller = PhotoEnroller(load_bundle(bundle))
            connection.send(_READY)
            while True:
                connection.send(_read(connection.recv(), enroller))
        except EarsightError as exc:
            connection.send(exc)


def _read(path: Path, enroller: PhotoEnroller) -> Sample | str:
    """Return the sample of a photo, or why there is none."""
    try:
        return enroller.enroll(read_file(path), path.name).sample
    except InputError as exc:
        return str(exc).removeprefix(f"{path}: ").removeprefix(f"{path.name}: ")
