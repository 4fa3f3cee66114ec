"""The newest events, and a bounded queue for each browser that watches.

Events come from a sink's thread and sound from the capture thread; neither ever waits. A browser
that is slow loses sound and older portraits; one that is so slow that events do not fit is let go,
connects again and says with `Last-Event-ID` where it was.

A portrait follows its event in the same stream: an address to fetch it from could be gone before a
browser asks, because nothing heard is kept over a reload.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
import threading
from collections import deque
from dataclasses import dataclass

from ..events import Event
from ..sinks.jsonl import as_line
from .tally import Tally

KEPT = 128  # events that a browser may have missed, about 1 kB each
WAITING = 64  # events in one browser's queue, besides those it missed
SOUNDS = 10  # messages of sound in it: a second
MOST = 8  # browsers at a time


@dataclass(frozen=True, slots=True)
class Message:
    """One server-sent event."""

    name: str  # event, portrait, status, sound
    data: str  # one line of JSON
    id: str = ""  # of an event, for Last-Event-ID


class Watcher:
    """One browser's queue. `offer` and `end` may be called from any thread, `take` from its own."""

    def __init__(self, missed: list[Message], sound: bool) -> None:
        """Begin with what the browser missed; belongs to the running event loop."""
        self.sound = sound  # whether it wants the level and the spectrogram
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._lock = threading.Lock()
        self._events = deque(missed)
        self._portrait: deque[Message] = deque(maxlen=1)
        self._sounds: deque[Message] = deque(maxlen=SOUNDS)
        self._room = WAITING + len(missed)
        self._ended = False
        if missed:
            self._changed.set()

    def offer(self, message: Message) -> None:
        """Queue a message: of sound and portraits the oldest goes for it.

        An event for which there is no room is the end.
        """
        with self._lock:
            if message.name == "sound":
                self._sounds.append(message)
            elif message.name == "portrait":
                self._portrait.append(message)
            elif len(self._events) < self._room:
                self._events.append(message)
            else:
                self._ended = True
        self._wake()

    def end(self) -> None:
        """Let the browser go."""
        with self._lock:
            self._ended = True
        self._wake()

    async def take(self, timeout_s: float) -> list[Message] | None:
        """Return what came, [] when nothing does in time, None when the browser is let go."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        with self._lock:
            self._changed.clear()
            taken = [*self._events, *self._portrait, *self._sounds]
            self._events.clear()
            self._portrait.clear()
            self._sounds.clear()
            return None if self._ended else taken

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # its loop is closed: the page has ended
            self._loop.call_soon_threadsafe(self._changed.set)


class Feed:
    """What is shown live. `publish` and `broadcast` may be called from any thread."""

    def __init__(self) -> None:
        self._run = secrets.token_hex(4)  # sequence numbers begin anew with each process
        self._lock = threading.Lock()
        self._kept: deque[tuple[int, Message]] = deque(maxlen=KEPT)
        self._heard: Message | None = None  # the newest, for a browser that comes new
        self._portrait: tuple[int, Message] | None = None  # of the newest event that has one
        self._watchers: tuple[Watcher, ...] = ()

    @property
    def watchers(self) -> int:
        """How many browsers watch."""
        return len(self._watchers)

    @property
    def wants_sound(self) -> bool:
        """Whether any of them shows the level and the spectrogram."""
        return any(watcher.sound for watcher in self._watchers)

    def publish(self, event: Event) -> None:
        """Keep an event for a while and tell every browser.

        Raises:
            ValueError: the event is not JSON.
        """
        number = event.stamp.sequence
        body = event.as_json()
        body["portrait"] = event.portrait is not None
        message = Message("event", as_line(body), f"{self._run}-{number}")
        with self._lock:
            self._kept.append((number, message))
            if event.kind == "heard":
                self._heard = message
            messages = [message]
            if event.portrait:
                messages.append(_portrait(number, event.portrait))
                self._portrait = number, messages[-1]
            watchers = self._watchers
        for watcher in watchers:
            for each in messages:
                watcher.offer(each)

    def broadcast(self, message: Message) -> None:
        """Give a message of sound to every browser that wants it."""
        for watcher in self._watchers:
            if watcher.sound:
                watcher.offer(message)

    def watch(self, last_id: str, sound: bool = True) -> Watcher | None:
        """Return a queue for one more browser, None when there are too many.

        Args:
            last_id: of the last event it got; "" or an unknown one gets the newest heard.
            sound: whether it wants the level and the spectrogram.
        """
        run, _, number = last_id.rpartition("-")
        with self._lock:
            if len(self._watchers) >= MOST:
                return None
            seen = int(number) if run == self._run and number.isdecimal() else -1
            if seen >= 0:
                missed = [message for found, message in self._kept if found > seen]
            else:
                missed = [self._heard] if self._heard else []
            watcher = Watcher(missed, sound)
            if self._portrait and self._portrait[0] > seen:
                watcher.offer(self._portrait[1])
            self._watchers = (*self._watchers, watcher)
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Forget a browser."""
        with self._lock:
            self._watchers = tuple(w for w in self._watchers if w is not watcher)

    def forget(self) -> None:
        """Keep nothing of what was heard: `earsight forget` lets the daemon start anew for that."""
        with self._lock:
            self._kept.clear()
            self._heard = self._portrait = None

    def end(self) -> None:
        """Let every browser go."""
        for watcher in self._watchers:
            watcher.end()


def _portrait(number: int, png: bytes) -> Message:
    """Return the portrait of the event with a sequence number; browsers take base64."""
    text = base64.b64encode(png).decode()
    return Message("portrait", as_line({"sequence": number, "png": text}))


class PageSink:
    """Hands the events of the fan-out to the page."""

    name = "page"

    def __init__(self, feed: Feed, tally: Tally) -> None:
        self._feed = feed
        self._tally = tally

    def write(self, event: Event) -> None:
        """Count one event and show it.

        Raises:
            ValueError: the event is not JSON.
        """
        self._tally.add(event)
        self._feed.publish(event)

    def close(self) -> None:
        """Leave the page open, which outlives the sinks of one configuration, and empty."""
        self._feed.forget()
