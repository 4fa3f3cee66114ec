"""Sinks side by side: none of them can stop another, and memory stays bounded."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
import time
from collections.abc import Iterator

import pytest

from edge.errors import StorageError
from edge.events import Event, Stamper
from edge.sinks.fanout import Fanout
from edge.sinks.jsonl import JsonlSink

PATIENT_S = 20.0  # far beyond what a loaded machine needs; a test that passes never waits for it


class Kept:
    """Keeps what it gets."""

    def __init__(self, name: str = "kept") -> None:
        self.name = name
        self.events: list[Event] = []
        self.closed = False

    def write(self, event: Event) -> None:
        """Keep one event."""
        self.events.append(event)

    def close(self) -> None:
        """Remember that this was called."""
        self.closed = True


class Failing(Kept):
    """Raises as often as it is told to, then keeps."""

    def __init__(self, error: Exception, times: float = float("inf")) -> None:
        super().__init__("failing")
        self.error, self.times = error, times
        self.attempts = 0

    def write(self, event: Event) -> None:
        """Fail, or keep one event."""
        self.attempts += 1
        if self.attempts <= self.times:
            raise self.error
        super().write(event)


class Stuck(Kept):
    """Blocks in its first write until the test ends."""

    def __init__(self) -> None:
        super().__init__("stuck")
        self.entered, self.release = threading.Event(), threading.Event()

    def write(self, event: Event) -> None:
        """Wait for the test to end."""
        self.entered.set()
        self.release.wait()
        super().write(event)


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    sink = Stuck()
    yield sink
    sink.release.set()


@pytest.fixture
def events() -> list[Event]:
    stamper = Stamper()
    return [stamper.event("system", {"text": f"number {i}"}) for i in range(300)]


def until(condition, what: str) -> None:
    deadline = time.monotonic() + PATIENT_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} never came"
        time.sleep(0.001)


def test_every_sink_gets_every_event_in_order(events: list[Event]) -> None:
    one, two = Kept("one"), Kept("two")
    fanout = Fanout([one, two], queue=300)
    for event in events:
        fanout.write(event)
    fanout.close()
    assert one.events == two.events == events
    assert one.closed
    assert two.closed
    assert [s.written for s in fanout.status()] == [300, 300]


def test_a_raising_and_a_stuck_sink_do_not_stop_the_others(
    events: list[Event], stuck: Stuck
) -> None:
    kept, failing = Kept(), Failing(ZeroDivisionError("bug"))
    fanout = Fanout([failing, stuck, kept], queue=50)
    for event in events:
        fanout.write(event)
        until(lambda event=event: kept.events[-1:] == [event], "an event")
    assert kept.events == events
    status = {s.name: s for s in fanout.status()}
    until(lambda: failing.attempts == 300, "the last failure")
    assert status["stuck"].waiting == 50  # bounded: the oldest were dropped
    assert status["stuck"].dropped == 300 - 50 - 1
    began = time.monotonic()
    fanout.close(timeout_s=1.0)
    assert time.monotonic() - began < 5.0
    assert kept.closed
    assert not stuck.closed


def test_what_cannot_be_written_now_is_written_later(
    events: list[Event], caplog: pytest.LogCaptureFixture
) -> None:
    failing = Failing(StorageError("the disk is full; free some space"), times=4)
    fanout = Fanout([failing], retry_s=0.01)
    with caplog.at_level(logging.WARNING):
        for event in events[:10]:
            fanout.write(event)
        until(lambda: len(failing.events) == 10, "the last event")
    fanout.close()
    assert failing.events == events[:10]
    (status,) = fanout.status()
    assert (status.written, status.failures, status.dropped, status.error) == (10, 4, 0, "")
    first, second = [record.getMessage() for record in caplog.records]
    assert "the disk is full" in first  # once for the streak, not once for each attempt
    assert "works again after 4 failures" in second


def test_a_sink_that_fails_for_ever_keeps_the_newest(events: list[Event]) -> None:
    failing = Failing(StorageError("no"))
    fanout = Fanout([failing], queue=20, retry_s=0.001)
    for event in events:
        fanout.write(event)
    until(lambda: failing.attempts > 3, "a retry")
    (status,) = fanout.status()
    assert status.waiting <= 20
    assert status.error == "no"
    failing.times = 0
    until(lambda: failing.events[-1:] == events[-1:], "the newest event")
    assert failing.events == events[-len(failing.events) :]
    fanout.close()


def test_an_event_is_announced_only_after_the_first_sink_holds_it(events: list[Event]) -> None:
    first = Kept("first")
    behind = []

    class Comparing(Kept):
        def write(self, event: Event) -> None:
            behind.append(first.events[-1].stamp.sequence - event.stamp.sequence)

    fanout = Fanout([Comparing()], first=first, queue=300, patience_s=PATIENT_S)
    for event in events:
        fanout.write(event)
    fanout.close(PATIENT_S)
    assert len(behind) == 300
    assert min(behind) >= 0


@pytest.mark.parametrize("error", [StorageError("disk full"), ZeroDivisionError("bug")])
def test_a_first_sink_that_fails_does_not_silence_the_others(
    events: list[Event], error: Exception
) -> None:
    kept = Kept()
    fanout = Fanout([kept], first=Failing(error), queue=300, retry_s=0.001, patience_s=PATIENT_S)
    fanout.write(events[0])
    until(lambda: kept.events == events[:1], "the event")
    fanout.close()


def test_a_first_sink_that_is_stuck_delays_the_others_once(
    events: list[Event], stuck: Stuck
) -> None:
    kept = Kept()
    fanout = Fanout([kept], first=stuck, patience_s=0.05)
    for event in events[:200]:
        fanout.write(event)
    until(lambda: kept.events == events[:200], "the last event")
    fanout.close(timeout_s=0.2)


def test_nothing_is_taken_after_close(events: list[Event]) -> None:
    kept = Kept()
    fanout = Fanout([kept])
    fanout.close()
    fanout.write(events[0])
    assert kept.events == []
    assert fanout.status()[0].dropped == 1


def test_a_json_line_is_one_line_of_strict_json(events: list[Event]) -> None:
    stream = io.StringIO()
    event = Stamper().event("system", {"text": "two\nlines, \x1b[2J and é"}, portrait=b"png")
    JsonlSink(stream).write(event)
    (line,) = stream.getvalue().splitlines()
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == event.as_json()
    with pytest.raises(ValueError, match="JSON"):
        JsonlSink(stream).write(Stamper().event("system", {"level": float("nan")}))


def test_a_reader_that_went_away_is_a_storage_error(events: list[Event]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = io.TextIOWrapper(io.FileIO(writer, "w"), write_through=True)
    with pytest.raises(StorageError, match="check what reads them"):
        JsonlSink(stream).write(events[0])
    os.close(writer)
    stream.detach()


def test_a_full_disk_behind_stdout_is_a_storage_error(events: list[Event]) -> None:
    stream = io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True)
    with pytest.raises(StorageError, match="No space left"):
        JsonlSink(stream).write(events[0])
    stream.detach()
