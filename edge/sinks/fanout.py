"""Every event to every sink, so that none of them can stop another or the capture.

::

    write ─┬→ queue → thread → first sink (the journal) ── committed ──┐
           ├→ queue → thread ────────────── waits for it, 2 s at most ─┴→ second sink
           └→ queue → thread ─────────────────────────────────────────────→ third sink

Queues are bounded and drop their oldest event. A sink that fails with OSError gets the same event
again, with back-off, as long as there is room for it; any other error gives that event up.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..events import Event

if TYPE_CHECKING:
    from . import Sink

QUEUE = 256  # events; with a 40 kB portrait each, 10 MB
QUEUE_WITH_SOUND = 32  # with half a minute of sound each, 32 MB
PATIENCE_S = 2.0  # the longest an announcement waits for a stuck disk
RETRY_S = 0.5  # doubles to:
LONGEST_RETRY_S = 30.0
CLOSE_S = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """How one sink is doing."""

    name: str
    written: int  # events
    failures: int  # attempts that raised
    dropped: int  # events given up: no room, no use or no time
    waiting: int  # events in its queue
    error: str  # of the present streak of failures, "" when all is well


@dataclass(frozen=True, slots=True)
class _Item:
    event: Event
    offered_s: float  # monotonic
    settled: threading.Event  # set once the first sink holds the event, or could not take it


class Fanout:
    """Feeds sinks from one thread each. `write` and `status` may be called from any thread."""

    def __init__(
        self,
        sinks: Iterable[Sink],
        first: Sink | None = None,
        queue: int = QUEUE,
        retry_s: float = RETRY_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Start the threads.

        Args:
            sinks: take an event only after `first` did, so that what is announced is kept.
            first: the journal. When it fails or takes longer than `patience_s`, the others go on.
            queue: the largest number of events that wait for one sink.
            retry_s: wait after a first failure, doubled to 30 s while failures go on.
            patience_s: seconds from `write` that the others wait for `first`.
        """
        self._first = _Worker(first, queue, retry_s, None) if first else None
        self._others = [_Worker(sink, queue, retry_s, patience_s) for sink in sinks]
        self._workers = ([self._first] if self._first else []) + self._others

    def write(self, event: Event) -> None:
        """Offer an event to every sink; never blocks on one and never raises."""
        item = _Item(event, time.monotonic(), threading.Event())
        if self._first is None:
            item.settled.set()
        for worker in self._workers:
            worker.offer(item)

    def status(self) -> tuple[SinkStatus, ...]:
        """Return the state of each sink, `first` first."""
        return tuple(worker.status() for worker in self._workers)

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Let the sinks write what waits and close them; leave behind those that take longer."""
        deadline = time.monotonic() + timeout_s
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.join(deadline)


@dataclass(slots=True)
class _Counts:
    written: int = 0
    failures: int = 0
    dropped: int = 0
    streak: int = 0  # failures since the last success
    error: str = ""


@dataclass(slots=True)
class _Worker:
    """One sink, its queue and its thread."""

    sink: Sink
    limit: int
    retry_s: float
    patience_s: float | None  # None for the sink that the others wait for
    _waiting: deque[_Item] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _stopping: bool = False
    _counts: _Counts = field(default_factory=_Counts)
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        name = f"sink {self.sink.name}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def offer(self, item: _Item) -> None:
        with self._changed:
            if self._stopping:
                self._drop(item)
                return
            if len(self._waiting) >= self.limit:
                self._drop(self._waiting.popleft())
            self._waiting.append(item)
            self._changed.notify_all()

    def status(self) -> SinkStatus:
        with self._changed:
            counts, waiting = self._counts, len(self._waiting)
            return SinkStatus(
                self.sink.name,
                counts.written,
                counts.failures,
                counts.dropped,
                waiting,
                counts.error,
            )

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self, deadline: float) -> None:
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            left = self.status().waiting
            _log.warning("sink %s does not finish; left with %d events", self.sink.name, left)

    def _run(self) -> None:
        while (item := self._next()) is not None:
            self._attempt(item)
        try:
            self.sink.close()
        except Exception as exc:
            _log.warning("sink %s: closing failed: %s", self.sink.name, _describe(exc))

    def _next(self) -> _Item | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping)
            return self._waiting.popleft() if self._waiting else None

    def _attempt(self, item: _Item) -> None:
        if self.patience_s is not None:
            item.settled.wait(max(0.0, item.offered_s + self.patience_s - time.monotonic()))
        try:
            self.sink.write(item.event)
        except OSError as exc:
            self._failed(exc)
            self._put_back(item)
        except Exception as exc:
            self._failed(exc)
            with self._changed:
                self._drop(item)
        else:
            self._succeeded()
        item.settled.set()

    def _succeeded(self) -> None:
        with self._changed:
            streak, dropped = self._counts.streak, self._counts.dropped
            self._counts.written += 1
            self._counts.streak, self._counts.error = 0, ""
        if streak:
            _log.warning(
                "sink %s works again after %d failures; %d events dropped since the start",
                self.sink.name,
                streak,
                dropped,
            )

    def _failed(self, exc: Exception) -> None:
        with self._changed:
            self._counts.failures += 1
            self._counts.streak += 1
            self._counts.error = _describe(exc)
            first = self._counts.streak == 1
        if first:
            _log.warning("sink %s failed, the others go on: %s", self.sink.name, _describe(exc))

    def _put_back(self, item: _Item) -> None:
        """Keep the event when there is room, as the oldest; then wait longer at each failure."""
        with self._changed:
            if self._stopping or len(self._waiting) >= self.limit:
                self._drop(item)
            else:
                self._waiting.appendleft(item)
            item.settled.set()
            wait_s = self.retry_s * 2.0 ** min(self._counts.streak - 1, 16)
            self._changed.wait_for(lambda: self._stopping, min(wait_s, LONGEST_RETRY_S))

    def _drop(self, item: _Item) -> None:
        self._counts.dropped += 1
        if self.patience_s is None:
            item.settled.set()


def _describe(exc: Exception) -> str:
    return str(exc) if isinstance(exc, OSError) and str(exc) else f"{type(exc).__name__}: {exc}"
