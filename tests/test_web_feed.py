"""What is shown live: resuming, bounded queues, slow browsers, sound only while somebody looks."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edge.audio.logmel import LogMelSpec, mel_weights
from edge.audio.microphone import AudioBlock
from edge.web.feed import KEPT, MOST, SOUNDS, WAITING, Feed, Message, PageSink
from edge.web.sound import COLUMNS, HOP, SoundTap, TappedSource
from edge.web.stream import encode
from edge.web.tally import Tally
from tests.fakes import RATE, ScriptedMicrophone
from tests.web_visitor import STAMPER, Visitor, heard, served

pytest.importorskip("starlette", reason="needs the page's server: pip install 'earsight[web]'")
pytest.importorskip("uvicorn", reason="needs the page's server: pip install 'earsight[web]'")


def publish(feed: Feed, count: int, kind: str = "gap") -> list[int]:
    events = [
        STAMPER.event(kind, heard() if kind == "heard" else {"lost_s": 0.1}) for _ in range(count)
    ]
    for event in events:
        feed.publish(event)
    return [event.stamp.sequence for event in events]


def watched(feed: Feed, last_id: str = "", sound: bool = True) -> list[Message] | None:
    """Return what a browser that comes now is told at once; None when it is let go."""

    async def take() -> list[Message] | None:
        watcher = feed.watch(last_id, sound)
        assert watcher is not None
        try:
            return await watcher.take(0.01)
        finally:
            feed.leave(watcher)

    return asyncio.run(take())


def numbers(messages: list[Message] | None) -> list[int]:
    return [json.loads(message.data)["sequence"] for message in messages or []]


def test_a_new_browser_is_told_the_newest_utterance_only() -> None:
    feed = Feed()
    assert watched(feed) == []
    publish(feed, 2, "heard")
    newest = publish(feed, 1, "heard")
    publish(feed, 3)
    assert numbers(watched(feed)) == newest
    assert numbers(watched(feed, "of-another-run-3")) == newest
    assert numbers(watched(feed, "nonsense")) == newest


def test_a_browser_that_comes_back_is_told_what_it_missed() -> None:
    feed = Feed()
    publish(feed, 1, "heard")
    (first,) = watched(feed) or []
    missed = publish(feed, 5)
    assert numbers(watched(feed, first.id)) == missed
    last = publish(feed, KEPT)
    assert numbers(watched(feed, first.id)) == last  # what is older is in the journal


def test_a_portrait_follows_its_event_and_only_the_newest_is_kept() -> None:
    async def play() -> None:
        feed = Feed()
        early = feed.watch("")
        assert early is not None
        events = [STAMPER.event("heard", heard(), b"png %d" % i) for i in range(2)]
        newest = {"sequence": events[1].stamp.sequence, "png": base64.b64encode(b"png 1").decode()}
        for event in events:
            feed.publish(event)
        publish(feed, 1, "heard")  # has none
        *told, portrait = await early.take(0.0) or []
        assert [json.loads(m.data)["portrait"] for m in told] == [True, True, False]
        assert (portrait.name, json.loads(portrait.data)) == ("portrait", newest)
        late = feed.watch("")
        assert late is not None
        heard_last, portrait = await late.take(0.0) or []
        assert (heard_last.data, json.loads(portrait.data)) == (told[2].data, newest)
        knows = feed.watch(told[1].id)
        assert knows is not None
        assert [m.id for m in await knows.take(0.0) or []] == [told[2].id]

    asyncio.run(play())


def test_queues_are_bounded_and_only_a_slow_browser_is_let_go() -> None:
    async def play() -> None:
        feed = Feed()
        slow, quick = feed.watch(""), feed.watch("")
        assert slow is not None
        assert quick is not None
        for number in range(3 * SOUNDS):
            feed.broadcast(Message("sound", str(number)))
        kept = await quick.take(0.0)
        assert [m.data for m in kept or []] == [str(2 * SOUNDS + i) for i in range(SOUNDS)]
        for _ in range(WAITING + 1):
            publish(feed, 1)
            assert await quick.take(0.0) is not None
        assert await slow.take(0.0) is None
        feed.leave(slow)
        assert feed.watchers == 1

    asyncio.run(play())


def test_only_so_many_browsers_watch() -> None:
    async def play() -> None:
        feed = Feed()
        watchers = [feed.watch("") for _ in range(MOST + 1)]
        assert watchers.pop() is None
        feed.end()
        assert [await w.take(0.0) for w in watchers if w] == [None] * MOST

    asyncio.run(play())


def test_events_of_other_threads_wake_a_browser_and_a_closed_loop_hinders_nobody() -> None:
    feed = Feed()

    async def play() -> list[Message] | None:
        watcher = feed.watch("")
        assert watcher is not None
        threading.Timer(0.05, publish, (feed, 1)).start()
        return await watcher.take(20.0)

    assert len(asyncio.run(play()) or []) == 1
    assert feed.watchers == 1  # it never left, and its loop is closed
    publish(feed, WAITING + 1)
    feed.broadcast(Message("sound", "{}"))


def test_the_wire_format() -> None:
    assert (
        encode(Message("event", '{"a":1}', "ab-7")) == 'event: event\nid: ab-7\ndata: {"a":1}\n\n'
    )
    assert encode(Message("sound", "{}")) == "event: sound\ndata: {}\n\n"


def test_the_spectrogram_shows_a_tone_in_its_band_and_its_level() -> None:
    hz = 1000
    tone = 0.5 * np.sin(2 * np.pi * hz * np.arange(RATE) / RATE).astype(np.float32)
    columns = SoundTap(Feed()).columns(tone)
    assert columns.dtype == np.uint8
    assert columns.shape[1] == LogMelSpec().mels
    band = mel_weights(LogMelSpec())[:, round(hz * 512 / RATE)].argmax()
    assert set(columns.argmax(axis=1)) == {band}
    assert not SoundTap(Feed()).columns(0 * tone).any()


def test_sound_is_looked_at_only_while_somebody_watches() -> None:
    feed = Feed()
    tap = SoundTap(feed)
    noise = np.random.default_rng([7]).normal(0, 0.1, RATE).astype(np.float32)

    async def play() -> None:
        deaf = feed.watch("", sound=False)
        assert deaf is not None
        tap.feed(noise)
        assert await deaf.take(0.0) == []
        watcher = feed.watch("")
        assert watcher is not None
        for portion in np.split(noise, 10):
            tap.feed(portion)
        messages = await watcher.take(0.0)
        assert messages
        assert await deaf.take(0.0) == []
        sounds = [json.loads(message.data) for message in messages]
        assert all(len(base64.b64decode(s["columns"])) == COLUMNS * 64 for s in sounds)
        assert all(abs(s["level_dbfs"] + 20) < 1 for s in sounds)
        assert len(sounds) == (RATE - 512) // HOP // COLUMNS

    asyncio.run(play())


def test_a_tapped_source_is_the_source() -> None:
    feed = Feed()
    microphone = ScriptedMicrophone([np.zeros(RATE, np.float32)])
    tapped = TappedSource(microphone, SoundTap(feed))
    tapped.mute(True)
    assert microphone.muted
    tapped.mute(False)
    found = []
    for item in tapped.blocks():
        found.append(item)
        if len(found) == 5:
            tapped.close()
    assert isinstance(found[1], AudioBlock)
    assert tapped.level_dbfs == microphone.level_dbfs


def test_a_stream_tells_state_and_events_and_goes_on_where_it_was() -> None:
    with served() as visitor:
        with visitor.stream() as told:
            first = next(told)
            assert (first.name, first.data["audio"]["state"]) == ("status", "listening")
            one = visitor.tell("gap", {"lost_s": 0.5})
            event = next(told)
            assert (event.name, event.data["sequence"]) == ("event", one.stamp.sequence)
        missed = [visitor.tell("heard", heard("Ada"), b"png"), visitor.tell("gap", {"lost_s": 1})]
        for back in ({"Last-Event-ID": event.id}, {}):
            path = "/events?sound=0" + ("" if back else f"&since={event.id}")
            with visitor.stream(path, **back) as told:
                first = [next(told) for _ in range(4)]
            found = [t.data["sequence"] for t in first if t.name == "event"]
            assert found == [event.stamp.sequence for event in missed]
            (portrait,) = [t.data for t in first if t.name == "portrait"]
            assert portrait == {"sequence": found[0], "png": base64.b64encode(b"png").decode()}


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_browsers_that_come_and_go_leave_nothing_behind() -> None:
    with served() as visitor:
        before = open_files()
        for _ in range(3 * MOST):
            with visitor.stream() as told:
                next(told)
        for _ in range(600):
            if b"earsight_page_watchers 0\n" in visitor.get("/metrics").body:
                break
            time.sleep(0.05)
        assert b"earsight_page_watchers 0\n" in visitor.get("/metrics").body
        assert open_files() <= before + 4  # of connections being closed


def test_a_stream_ends_with_the_page_and_too_many_are_refused() -> None:
    with served() as visitor:
        streams = [visitor.stream() for _ in range(MOST)]
        told = [stream.__enter__() for stream in streams]
        assert [next(t).name for t in told] == ["status"] * MOST
        assert visitor.get("/events").status == 503
        for stream in streams[1:]:
            stream.__exit__(None, None, None)
    assert list(told[0]) == []


def test_a_browser_that_takes_nothing_stops_nobody(visitor_with_stuck: Visitor) -> None:
    visitor = visitor_with_stuck
    with visitor.stream() as told:
        assert next(told).name == "status"
        sent = [
            visitor.tell("gap", {"lost_s": 0.0, "padding": "x" * 50_000}) for _ in range(WAITING)
        ]
        found = [next(told).data["sequence"] for _ in sent]
    assert found == [event.stamp.sequence for event in sent]
    for _ in range(4 * WAITING):
        visitor.tell("gap", {"lost_s": 0.0, "padding": "x" * 50_000})
    assert visitor.get("/healthz").status == 200


@pytest.fixture
def visitor_with_stuck():
    """A page that one browser watches without ever reading."""
    with served() as visitor, socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", visitor.port))
        stuck.sendall(b"GET /events?sound=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        yield visitor


def test_nothing_heard_is_kept_when_the_daemon_starts_anew() -> None:
    feed = Feed()
    sink = PageSink(feed, Tally())
    event = STAMPER.event("heard", heard(), b"png")
    sink.write(event)
    assert numbers(watched(feed)) == 2 * [event.stamp.sequence]  # event and portrait
    sink.close()
    assert watched(feed) == []
    assert watched(feed, f"{event.stamp.sequence}") == []
