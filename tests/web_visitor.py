"""A page served on a free port to real sockets, a device for it to show, and who visits."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from edge.audio.microphone import AudioState
from edge.config import DeviceConfig, Effective, flatten, to_tree
from edge.events import Event, Stamper
from edge.service import Command
from edge.sinks import Sink
from edge.sinks.fanout import SinkStatus
from edge.vitals import Vitals
from edge.web.page import Page
from edge.web.settings import WebSettings
from tests.fakes import DIM, SPACE, FakeBundle, crowd

LOCAL = WebSettings(enabled=True, port=0)
STAMPER = Stamper()


class FakeDevice:
    """A daemon that is as it is told to be."""

    def __init__(self) -> None:
        self.asked: list[Command] = []
        self.now: Vitals | None = Vitals(
            audio=AudioState("listening", "", "scripted", 16_000, 0, 0),
            level_dbfs=-40.0,
            muted=False,
            speaking=False,
            alive=True,
            heard=0,
            waiting=0,
            sinks=(SinkStatus("journal", 3, 0, 0, 0, ""),),
            throttled=0x50000,
            runs_on="cpu",
            backend=SimpleNamespace(name="fake", version="0"),
            bundle=FakeBundle(),
            gallery=crowd(SPACE, DIM),
        )

    def vitals(self) -> Vitals | None:
        """Return how it is."""
        return self.now

    def ask(self, command: Command) -> None:
        """Remember what was asked."""
        self.asked.append(command)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> Any:
        """Return the body, parsed."""
        return json.loads(self.body)


@dataclass
class Visitor:
    """Asks one page, each time over a new connection."""

    port: int
    page: Page
    sinks: list[Sink]
    device: FakeDevice = field(default_factory=FakeDevice)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send one request; `Sec_Fetch_Site` becomes Sec-Fetch-Site."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request(method, path, body, named)
        with connection.getresponse() as found:
            answer = Answer(found.status, dict(found.headers), found.read())
        connection.close()
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        """Send a GET."""
        return self.ask("GET", path, **headers)

    @contextmanager
    def stream(self, path: str = "/events?sound=0", **headers: str) -> Iterator[Iterator[Told]]:
        """Give the server-sent events as they come."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(
            "GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        with connection.getresponse() as found:
            assert found.status == 200
            assert found.headers["Content-Type"].startswith("text/event-stream")
            yield _told(found)
        connection.close()

    def tell(self, kind: str, data: Mapping[str, Any], portrait: bytes | None = None) -> Event:
        """Give the page an event, as the fan-out does."""
        event = STAMPER.event(kind, data, portrait)
        for sink in self.sinks:
            sink.write(event)
        return event


@dataclass
class Told:
    """One server-sent event."""

    name: str = "message"
    id: str = ""
    data: Any = None


def _told(lines: Iterator[bytes]) -> Iterator[Told]:
    told = Told()
    for line in lines:
        key, _, value = line.decode().rstrip("\n").partition(": ")
        if key == "event":
            told.name = value
        elif key == "id":
            told.id = value
        elif key == "data":
            told.data = json.loads(value)
        elif not key and told.data is not None:
            yield told
            told = Told()


@contextmanager
def served(
    web: WebSettings = LOCAL, config: DeviceConfig | None = None, device: FakeDevice | None = None
) -> Iterator[Visitor]:
    """Serve the page of a fake device."""
    config = replace(config or DeviceConfig(), web=web)
    device = device or FakeDevice()
    page = Page()
    with page.of(device):
        page.read(Effective(config, {key: "default" for key, _ in flatten(to_tree(config))}))
        sinks = page.follow(config)
        yield Visitor(wait_for_port(page), page, sinks, device)


def wait_for_port(page: Page) -> int:
    """Return the port once the page is served."""
    for _ in range(600):
        if page.port is not None:
            return page.port
        time.sleep(0.05)
    raise TimeoutError("the page is not served")


def heard(name: str | None = None, start_s: float = 1.0) -> dict[str, Any]:
    """Return what an event of kind heard says."""
    return {
        "source": "scripted",
        "start_s": start_s,
        "end_s": start_s + 2.0,
        "matches": [{"rank": 1, "id": "p1", "name": "Person 1", "score": 0.5}],
        "traits": None,  # as of a bundle that estimates none
        "timings_ms": {"frontend": 30.0, "encode": 10.0, "match": 1.0, "decode": 9.0},
        "decision": {"name": name, "id": None, "votes": 1, "of": 1, "why": "1 of 1 agree"},
        "level_dbfs": -30.0,
        "latency_ms": 60.0,
    }
