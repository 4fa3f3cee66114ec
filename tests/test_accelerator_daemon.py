"""The daemon with a Coral that is pulled out while somebody speaks: no utterance is lost."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.accelerator.delegate import AcceleratorSettings, Delegate, choose_delegate
from edge.accelerator.failover import Accelerator
from edge.accelerator.wire import Array
from edge.audio.microphone import AudioBlock, AudioState
from edge.bundle import Bundle
from edge.config import DeviceConfig, ServiceSettings
from edge.daemon import Daemon, Makers
from edge.events import Event
from edge.pipeline import Ear
from edge.service import Notifier
from edge.sinks.fanout import Fanout
from edge.types import Float32
from tests.fake_edgetpu import build_library, compile_bundle, plug_usb
from tests.fakes import RATE, ScriptedMicrophone, crowd
from tests.test_accelerator import Switch, wait_for

pytest.importorskip("ai_edge_litert", reason="the stand-in's models are made with LiteRT's schema")
TINY = Path(__file__).parent / "data" / "tiny.bundle"
SPOKEN = np.random.default_rng([42]).normal(0, 0.1, 2 * RATE).astype(np.float32)
PAUSE = np.zeros(2 * RATE, np.float32)


class Speaker:
    """A microphone into which the test speaks."""

    def __init__(self) -> None:
        self.level_dbfs = -20.0
        self._said: queue.SimpleQueue[Float32 | None] = queue.SimpleQueue()

    def say(self, times: int) -> None:
        """Speak, with a pause after each time."""
        for _ in range(times):
            self._said.put(SPOKEN)
            self._said.put(PAUSE)

    def blocks(self) -> Iterator[AudioBlock | AudioState]:
        """Yield what is said, until closed."""
        first = 0
        yield ScriptedMicrophone.state("listening")
        while (sound := self._said.get()) is not None:
            for block in np.split(sound, 20):
                yield AudioBlock(block, first, 0)
                first += len(block)

    def mute(self, on: bool) -> None:
        """Not needed here."""

    def close(self) -> None:
        """End `blocks`."""
        self._said.put(None)


class Counting(Accelerator):
    """Remembers which runs were made on the accelerator."""

    def __init__(self, delegate: Delegate, settings: AcceleratorSettings, root: Path) -> None:
        super().__init__(delegate, settings, root)
        self.runs: list[bool] = []

    def run(self, model: str, inputs: Mapping[str, Array]) -> dict[str, Array] | None:
        """Run as the real one."""
        outputs = super().run(model, inputs)
        self.runs.append(outputs is not None)
        return outputs


class Keeper:
    """A sink that adds to a list."""

    name = "keeper"

    def __init__(self, events: list[Event]) -> None:
        self._events = events

    def write(self, event: Event) -> None:
        """Take an event."""
        self._events.append(event)

    def close(self) -> None:
        """Take no more."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return compile_bundle(TINY, tmp_path_factory.mktemp("bundle") / "tiny.bundle")


@pytest.mark.parametrize("fault", ["gone", "crash-run", "hang-run", "killed"])
def test_pulling_the_coral_out_loses_no_utterance(
    library: Path, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    plug_usb(tmp_path)
    monkeypatch.setenv("FAKE_EDGETPU", str(tmp_path / "behaviour"))
    behave = Switch(tmp_path / "behaviour")
    behave("ok")
    settings = AcceleratorSettings(
        use="edgetpu",
        library=str(library),
        timeout_s=4.0 if fault == "hang-run" else 60.0,
        retry_s=0.1,
    )
    delegate = choose_delegate(settings)
    assert delegate is not None
    accelerator = Counting(delegate, settings, tmp_path)
    space = bundle.manifest.embedding
    people = crowd(space.space_id, space.dim)
    events: list[Event] = []
    speaker, notifier = Speaker(), Notifier({})
    config = DeviceConfig(service=ServiceSettings(stall_s=300.0, waiting=100))

    def of(kind: str) -> list[dict[str, Any]]:
        return [event.as_json() for event in events if event.kind == kind]

    def changes() -> list[str]:
        return [e["state"] for e in of("system") if e["what"] == "accelerator"]

    def world() -> None:
        try:
            wait_for(lambda: accelerator.backend == "edgetpu")
            speaker.say(2)
            wait_for(lambda: len(of("heard")) == 2)
            if fault == "killed":
                worker = accelerator._session
                assert worker is not None
                os.kill(worker._process.pid, signal.SIGKILL)
                behave("gone")
            else:
                behave(fault)
            speaker.say(3)
            wait_for(lambda: len(of("heard")) == 5 and "lost" in changes())
            behave("ok")
            wait_for(lambda: accelerator.backend == "edgetpu")
            speaker.say(2)
            wait_for(lambda: len(of("heard")) == 7)
        except BaseException as exc:
            faults.append(exc)
        os.kill(os.getpid(), signal.SIGTERM)

    faults: list[BaseException] = []
    makers = Makers(
        load=lambda: config,
        bundle=lambda config: bundle,
        ear=lambda config, bundle: Ear(bundle, people, accelerator=accelerator),
        source=lambda config: speaker,
        sinks=lambda config: Fanout([Keeper(events)]),
        detect=lambda: lambda chunk: float(np.abs(chunk).max() > 0.01),
    )
    player = threading.Thread(target=world)
    player.start()
    Daemon(makers, notifier).run()
    player.join()
    if faults:
        raise faults[0]

    assert of("dropped") == []
    heard = of("heard")
    starts = [round(each["start_s"]) for each in heard]
    assert starts == sorted(set(starts))
    assert len(starts) == 7  # each utterance once, in the order in which they were spoken
    assert [on_coral for on_coral, _ in groupby(accelerator.runs)] == [True, False, True]
    assert [state for state in changes() if state != "unavailable"] == ["ready", "lost", "ready"]
