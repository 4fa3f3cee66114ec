"""The daemon and its live path, on a scripted microphone, with signals and a notify socket."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge import button, daemon
from edge.audio.microphone import AudioState
from edge.button import EVENT, KEY, PRESSED
from edge.config import DeviceConfig, PrivacySettings, ServiceSettings
from edge.daemon import Daemon, Makers
from edge.errors import ConfigError, EarsightError, StorageError
from edge.events import Event, Stamper
from edge.face.gallery import Gallery
from edge.mute import Mute
from edge.pipeline import Ear
from edge.presence import Presence, restart_daemon
from edge.service import Notifier
from edge.sinks.fanout import Fanout
from edge.sinks.opening import OpeningSink
from edge.types import Float32, Sighting, Utterance
from edge.waiting import Waiting, WaitingRoom
from tests.fakes import DIM, RATE, SPACE, FakeBundle, ScriptedMicrophone, crowd
from tests.notify_socket import NotifySocket, notify_socket

QUICK = DeviceConfig(service=ServiceSettings(stall_s=0.5))


def voice(seconds: float) -> Float32:
    return np.random.default_rng([42]).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


def silence(seconds: float) -> Float32:
    return np.zeros(round(seconds * RATE), np.float32)


def by_loudness() -> Callable[[Float32], float]:
    return lambda chunk: float(np.abs(chunk).max() > 0.01)


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


class Keeper:
    """A sink that adds to a list."""

    name = "keeper"

    def __init__(self, events: list[Event]) -> None:
        self.closed = False
        self._events = events

    def write(self, event: Event) -> None:
        """Take an event."""
        assert not self.closed
        self._events.append(event)

    def close(self) -> None:
        """Take no more."""
        self.closed = True


class Rig:
    """A daemon on scripted microphones, one for each start, and what came out of it."""

    def __init__(self, *microphones: ScriptedMicrophone, config: DeviceConfig = QUICK) -> None:
        self.events: list[Event] = []
        self.sinks: list[Keeper] = []
        self.configs: list[DeviceConfig | EarsightError] = [config]  # the last is given for ever
        self.ear: Callable[[FakeBundle, Gallery], Ear] = Ear
        self.notifier = Notifier({})
        self.presence: Presence | None = None
        self.mute: Mute | None = None
        self._microphones = list(microphones)

    def run(self, world: Callable[[], None]) -> None:
        """Run until `world`, which is played beside it, is over."""
        faults: list[BaseException] = []

        def play() -> None:
            try:
                wait_for(lambda: "started" in self.said())
                world()
            except BaseException as exc:
                faults.append(exc)
            self.send(signal.SIGTERM)

        makers = Makers(
            load=self._load,
            bundle=lambda config: FakeBundle(),
            ear=lambda config, bundle: self.ear(bundle, crowd(SPACE, DIM)),
            source=lambda config: self._microphones.pop(0),
            sinks=self._open_sinks,
            detect=by_loudness,
        )
        player = threading.Thread(target=play)
        player.start()
        Daemon(makers, self.notifier, presence=self.presence, mute=self.mute).run()
        player.join()
        if faults:
            raise faults[0]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the daemon, which is this process."""
        os.kill(os.getpid(), number)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of one kind as JSON."""
        return [event.as_json() for event in self.events if event.kind == kind]

    def said(self) -> list[str]:
        """Return what was said of the daemon itself."""
        return [event["what"] for event in self.of("system")]

    def states(self) -> list[str]:
        """Return the states of the microphone."""
        return [event["state"] for event in self.of("audio")]

    def _load(self) -> DeviceConfig:
        config = self.configs.pop(0) if len(self.configs) > 1 else self.configs[0]
        if isinstance(config, EarsightError):
            raise config
        return config

    def _open_sinks(self, config: DeviceConfig) -> Fanout:
        self.sinks.append(Keeper(self.events))
        return Fanout([self.sinks[-1]])


def test_utterances_become_events_and_the_end_is_said() -> None:
    rig = Rig(ScriptedMicrophone([silence(1), voice(2), silence(2), voice(2), silence(2)]))
    rig.run(lambda: wait_for(lambda: len(rig.of("heard")) == 2))
    first, second = rig.of("heard")
    assert (round(first["start_s"], 1), round(first["end_s"], 1)) == (0.8, 3.5)
    assert (round(second["start_s"], 1), round(second["end_s"], 1)) == (4.8, 7.5)
    assert first["source"] == "scripted"
    assert [e["decision"]["of"] for e in (first, second)] == [1, 2]
    assert first["latency_ms"] >= 0
    assert [m["rank"] for m in first["matches"]] == [1, 2, 3, 4, 5]
    pictures = [e.portrait for e in rig.events if e.kind == "heard"]
    assert all(picture and picture[:4] == b"\x89PNG" for picture in pictures)
    assert rig.said() == ["started", "stopping"]
    assert rig.events[-1].as_json()["what"] == "stopping"
    assert rig.sinks[0].closed
    numbers = [event.stamp.sequence for event in rig.events]
    assert sorted(numbers) == list(range(len(numbers)))


def test_a_signal_finishes_the_utterance_being_spoken() -> None:
    microphone = ScriptedMicrophone([silence(1), voice(3)], stalls=True)
    rig = Rig(microphone)
    rig.run(lambda: wait_for(microphone.played.is_set))
    (heard,) = rig.of("heard")
    assert round(heard["end_s"], 1) == 4.0
    assert rig.said() == ["started", "stopping"]


def test_reload_makes_everything_anew_and_keeps_what_was_being_said() -> None:
    first = ScriptedMicrophone([voice(2)], stalls=True)
    rig = Rig(first, ScriptedMicrophone([voice(1), silence(2)]))

    def world() -> None:
        wait_for(first.played.is_set)
        rig.send(signal.SIGHUP)
        wait_for(lambda: "reloaded" in rig.said() and len(rig.of("heard")) == 2)

    rig.run(world)
    assert rig.said() == ["started", "reloading", "reloaded", "stopping"]
    assert [sink.closed for sink in rig.sinks] == [True, True]


def test_a_wrong_configuration_is_not_taken_over() -> None:
    rig = Rig(ScriptedMicrophone([]))
    rig.configs = [QUICK, ConfigError("x.toml: audio.rate: must be int; see: y"), QUICK]

    def world() -> None:
        rig.send(signal.SIGHUP)
        wait_for(lambda: "reload_failed" in rig.said())

    rig.run(world)
    assert rig.said() == ["started", "reload_failed", "stopping"]
    assert len(rig.sinks) == 1  # nothing was stopped


def test_people_are_read_again_when_a_consent_ends() -> None:
    rig = Rig(ScriptedMicrophone([]), ScriptedMicrophone([]))
    ends_s = [time.time() + 0.1]

    def ear(bundle: FakeBundle, gallery: Gallery) -> Ear:
        valid_until_s = ends_s.pop() if ends_s else float("inf")
        return Ear(bundle, replace(gallery, valid_until_s=valid_until_s))

    rig.ear = ear
    rig.run(lambda: wait_for(lambda: "reloaded" in rig.said()))
    assert rig.said() == ["started", "reloading", "reloaded", "stopping"]


def test_muting_by_signal_also_through_a_reload(tmp_path: Path) -> None:
    mark = tmp_path / "capture"
    config = replace(QUICK, privacy=PrivacySettings(capture_file=str(mark)))
    rig = Rig(ScriptedMicrophone([]), ScriptedMicrophone([]), config=config)

    def world() -> None:
        wait_for(lambda: rig.states() == ["listening"])
        assert mark.read_text() == "listening\n"
        rig.send(signal.SIGUSR1)
        wait_for(lambda: rig.states()[-1] == "muted")
        assert mark.read_text() == "muted\n"
        rig.send(signal.SIGHUP)
        wait_for(lambda: "reloaded" in rig.said() and rig.states()[-1] == "muted")
        rig.send(signal.SIGUSR1)
        wait_for(lambda: rig.states()[-1] == "listening")

    rig.run(world)
    assert not mark.exists()


def test_a_button_mutes_and_a_reload_may_take_it_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(button, "ABSENT_S", 0.01)
    device = tmp_path / "event0"
    os.mkfifo(device)
    with_button = replace(QUICK, privacy=PrivacySettings(button=str(device)))
    rig = Rig(ScriptedMicrophone([]), ScriptedMicrophone([]))
    rig.configs = [with_button, replace(QUICK, privacy=PrivacySettings(button=""))]
    press = EVENT.pack(0, 0, KEY, 248, PRESSED)

    def world() -> None:
        kernel = os.open(device, os.O_WRONLY)
        os.write(kernel, press)
        wait_for(lambda: rig.states()[-1:] == ["muted"])
        os.write(kernel, press)
        wait_for(lambda: rig.states()[-1] == "listening")
        rig.send(signal.SIGHUP)
        wait_for(lambda: "reloaded" in rig.said())
        os.write(kernel, press)
        os.close(kernel)

    rig.run(world)
    assert rig.states()[-1] == "listening"


def test_who_muted_it_is_not_heard_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "state/muted"

    def start(world: Callable[[Rig], None]) -> list[str]:
        rig = Rig(ScriptedMicrophone([]))
        rig.mute = Mute(file)
        rig.run(lambda: world(rig))
        return rig.states()

    def mute(rig: Rig) -> None:
        rig.send(signal.SIGUSR1)
        wait_for(lambda: rig.states()[-1:] == ["muted"])

    def unmute(rig: Rig) -> None:
        wait_for(lambda: rig.states() == ["muted"])
        rig.send(signal.SIGUSR1)
        wait_for(lambda: rig.states()[-1:] == ["listening"])

    assert start(mute)[-1] == "muted"
    assert start(unmute) == ["muted", "listening"]
    assert not file.exists()


def test_a_mute_that_cannot_be_kept_holds_for_now(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    mute = Mute(tmp_path / "file/muted")
    mute.set(True)
    assert mute.on
    assert "does not outlast this run" in caplog.text


@pytest.mark.parametrize("keep", [False, True])
def test_sound_leaves_memory_only_when_it_is_to_be_kept(keep: bool) -> None:
    config = replace(QUICK, privacy=PrivacySettings(keep_audio=keep, button=""))
    spoken = voice(2)
    rig = Rig(ScriptedMicrophone([silence(1), spoken, silence(2)]), config=config)
    rig.run(lambda: wait_for(lambda: rig.of("heard")))
    assert [event.sound for event in rig.events if event.kind != "heard"] == [None] * 3
    (sound,) = [event.sound for event in rig.events if event.kind == "heard"]
    if not keep:
        assert sound is None
        return
    assert sound is not None
    with wave.open(io.BytesIO(sound)) as held:
        assert (held.getframerate(), held.getnchannels(), held.getsampwidth()) == (RATE, 1, 2)
        samples = np.frombuffer(held.readframes(-1), "<i2") / 32767
    heard = rig.of("heard")[0]
    assert len(samples) == round((heard["end_s"] - heard["start_s"]) * RATE)
    start = round((1 - heard["start_s"]) * RATE)
    assert np.abs(samples[start : start + len(spoken)] - spoken).max() < 1e-4


def test_no_audio_is_loud_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    lost = AudioState("no_audio", "unplugged", "usb:1234:5678", 0, 0, 1)
    rig = Rig(ScriptedMicrophone([lost], stalls=True))
    rig.run(lambda: wait_for(lambda: rig.states()[-1:] == ["no_audio"]))
    assert ("WARNING", "NO AUDIO: unplugged") in [
        (record.levelname, record.getMessage()) for record in caplog.records
    ]


def test_the_level_comes_with_each_state() -> None:
    microphone = ScriptedMicrophone([])
    microphone.level_dbfs = -31.26
    rig = Rig(microphone)
    rig.run(lambda: wait_for(rig.states))
    assert rig.of("audio")[0]["level_dbfs"] == -31.3


def test_it_is_found_while_it_runs_and_starts_anew_on_demand(tmp_path: Path) -> None:
    config = replace(QUICK, journal=replace(QUICK.journal, folder=str(tmp_path)))
    rig = Rig(ScriptedMicrophone([]), ScriptedMicrophone([]), config=config)
    rig.presence = Presence()
    restarted: list[bool] = []
    rig.run(lambda: restarted.append(restart_daemon(tmp_path)))
    assert restarted == [True]
    assert rig.said() == ["started", "reloading", "reloaded", "stopping"]
    assert not restart_daemon(tmp_path)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[NotifySocket]:
    with notify_socket(str(tmp_path / "notify")) as found:
        yield found


def watched(manager: NotifySocket) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "100000"})


def test_the_watchdog_is_fed_while_sound_comes_and_not_when_it_stalls(
    manager: NotifySocket,
) -> None:
    stalling = threading.Event()
    microphone = ScriptedMicrophone([], stalls=stalling)
    rig = Rig(microphone)
    rig.notifier = watched(manager)

    def world() -> None:
        assert "WATCHDOG=1" in manager.during(1.5)
        stalling.set()
        manager.during(1.5)
        assert "WATCHDOG=1" not in manager.during(1.0)

    rig.run(world)
    assert manager.during(0.2)[-1] == "STOPPING=1"


def test_the_status_tells_what_the_board_suffers(
    manager: NotifySocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "read_throttled", lambda: 0x50005)
    rig = Rig(ScriptedMicrophone([]))
    rig.notifier = watched(manager)
    told = [
        "under-voltage now",
        "throttled now",
        "under-voltage since boot",
        "throttled since boot",
    ]

    def world() -> None:
        assert any(message.endswith(f"; {', '.join(told)}") for message in manager.during(1.5))

    rig.run(world)
    (event,) = [event for event in rig.of("system") if event["what"] == "throttled"]
    assert event["bits"] == told


def test_the_watchdog_is_fed_without_a_microphone(manager: NotifySocket) -> None:
    lost = AudioState("no_audio", "unplugged", "usb:1234:5678", 0, 0, 1)
    rig = Rig(ScriptedMicrophone([lost], stalls=True))
    rig.notifier = watched(manager)

    def world() -> None:
        said = manager.during(1.5)
        assert any(message.startswith("STATUS=NO AUDIO (unplugged)") for message in said)
        assert "WATCHDOG=1" in manager.during(1.0)

    rig.run(world)
    assert rig.states() == ["listening", "no_audio"]


def test_the_watchdog_is_not_fed_when_an_inference_hangs(manager: NotifySocket) -> None:
    release = threading.Event()

    class Hanging(Ear):
        def look(self, utterance: Utterance) -> Sighting:
            release.wait(20)
            return super().look(utterance)

    rig = Rig(ScriptedMicrophone([voice(1), silence(2)]))
    rig.ear = Hanging
    rig.notifier = watched(manager)

    def world() -> None:
        manager.during(2.0)
        assert "WATCHDOG=1" not in manager.during(1.0)  # though sound goes on
        release.set()
        wait_for(lambda: rig.of("heard"))
        assert "WATCHDOG=1" in manager.during(1.0)

    rig.run(world)


def test_a_slow_worker_loses_the_oldest_and_says_so() -> None:
    begun, release = threading.Event(), threading.Event()

    class Slow(Ear):
        def look(self, utterance: Utterance) -> Sighting:
            begun.set()
            release.wait(20)
            return super().look(utterance)

    spoken = [voice(1), silence(2)]
    microphone = ScriptedMicrophone([*spoken, begun, *spoken * 4])  # the first does not wait
    config = replace(QUICK, service=ServiceSettings(waiting=2, stall_s=30.0))
    rig = Rig(microphone, config=config)
    rig.ear = Slow

    def world() -> None:
        wait_for(microphone.played.is_set)
        wait_for(lambda: len(rig.of("dropped")) == 2)
        release.set()
        wait_for(lambda: len(rig.of("heard")) == 3)

    rig.run(world)
    assert [round(e["start_s"]) for e in rig.of("heard")] == [0, 9, 12]
    assert [round(e["start_s"]) for e in rig.of("dropped")] == [3, 6]
    assert {e["reason"] for e in rig.of("dropped")} == {"too slow"}


def test_one_utterance_that_fails_does_not_end_hearing() -> None:
    class Failing(Ear):
        failed = False

        def look(self, utterance: Utterance) -> Sighting:
            if not self.failed:
                self.failed = True
                raise ValueError("odd")
            return super().look(utterance)

    rig = Rig(ScriptedMicrophone([voice(1), silence(2)] * 2))
    rig.ear = Failing
    rig.run(lambda: wait_for(lambda: rig.of("heard")))
    (dropped,) = rig.of("dropped")
    assert dropped["reason"] == "failed: odd"


def test_a_state_ends_the_utterance_and_time_goes_on() -> None:
    lost = ScriptedMicrophone.state("no_audio")
    back = ScriptedMicrophone.state("listening")
    rig = Rig(ScriptedMicrophone([silence(1), voice(2), lost, back, voice(2), silence(2)]))
    rig.run(lambda: wait_for(lambda: len(rig.of("heard")) == 2))
    first, second = rig.of("heard")
    assert (round(first["start_s"], 1), round(first["end_s"], 1)) == (0.8, 3.0)
    assert (round(second["start_s"], 1), round(second["end_s"], 1)) == (3.0, 5.5)
    assert rig.states() == ["listening", "no_audio", "listening"]


def test_a_room_is_bounded_patient_or_not() -> None:
    found = [
        Waiting(Utterance(np.zeros(1, np.float32), float(i), i + 1.0, "x"), 0.0) for i in range(4)
    ]
    room = WaitingRoom(2)
    assert [room.put(each) for each in found] == [None, None, found[0], found[1]]
    room.close()
    assert [room.take(), room.take(), room.take()] == [found[2], found[3], None]

    room, taken = WaitingRoom(1, patient=True), []

    def take_all() -> None:
        while (one := room.take()) is not None:
            taken.append(one)

    taker = threading.Thread(target=take_all)
    taker.start()
    assert [room.put(each) for each in found] == [None] * 4
    room.close()
    taker.join()
    assert taken == found


def test_a_sink_that_cannot_open_is_opened_later() -> None:
    ready, events = False, []

    def make() -> Keeper:
        if not ready:
            raise StorageError("no disk; wait")
        return Keeper(events)

    sink = OpeningSink("journal", make)
    event = Stamper().event("gap", {})
    with pytest.raises(StorageError):
        sink.write(event)
    ready = True
    sink.write(event)
    sink.close()
    assert events == [event]
