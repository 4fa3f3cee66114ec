"""The capture lamp: lit exactly while a stream is open."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.audio.lamp import Lamp
from edge.audio.microphone import AudioBlock, Microphone, MicrophoneSettings
from edge.errors import HardwareError
from tests import fake_portaudio
from tests.fake_portaudio import FakeDevice, FakePyAudio, FakeStream
from tests.test_microphone import speak


@pytest.fixture
def led(tmp_path: Path) -> Path:
    """Return an LED as the kernel shows it, burning, as a killed daemon leaves it."""
    folder = tmp_path / "leds/earsight"
    folder.mkdir(parents=True)
    for name, value in (("brightness", "255"), ("max_brightness", "255"), ("trigger", "timer")):
        (folder / name).write_text(f"{value}\n")
    return folder


def brightness(led: Path) -> int:
    return int((led / "brightness").read_text())


def test_it_is_dark_until_a_stream_opens_and_after_the_last_has_closed(led: Path) -> None:
    lamp = Lamp("earsight", led.parent)
    assert brightness(led) == 0
    lamp.opening()
    assert brightness(led) == 255
    assert (led / "trigger").read_text() == "none"
    later = Lamp("earsight", led.parent)  # after a reload, while the first hangs in closing
    later.opening()
    lamp.closed()
    assert brightness(led) == 255
    later.closed()
    assert brightness(led) == 0


def test_a_plain_file_serves_too(tmp_path: Path) -> None:
    lamp = Lamp(str(tmp_path / "open"))
    assert (tmp_path / "open").read_text() == "0\n"
    lamp.opening()
    assert (tmp_path / "open").read_text() == "1\n"
    lamp.closed()
    assert (tmp_path / "open").read_text() == "0\n"


def test_it_burns_before_the_device_opens_and_is_dark_when_muted(
    led: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    class Watched(FakePyAudio):
        def open(self, *args: object, **options: object) -> FakeStream:
            seen.append(brightness(led))
            return super().open(*args, **options)  # type: ignore[arg-type]

    device = FakeDevice("mic", formats=(8,), script=speak)  # the first try, of 32 bits, fails
    fake_portaudio.install(monkeypatch, device)
    monkeypatch.setattr("pyaudio.PyAudio", lambda: Watched([device]), raising=True)
    microphone = Microphone(MicrophoneSettings(), Lamp("earsight", led.parent))
    for item in microphone.blocks():
        if isinstance(item, AudioBlock):
            assert brightness(led) == 255
            microphone.mute(True)
        elif item.state == "muted":
            assert brightness(led) == 0
            microphone.close()
    assert seen == [255, 255]


def test_what_cannot_be_shown_is_not_listened_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = FakeDevice("mic", script=speak)
    fake_portaudio.install(monkeypatch, device)
    microphone = Microphone(MicrophoneSettings(), Lamp("absent", tmp_path))
    states = microphone.blocks()
    next(states)  # opening
    state = next(states)
    assert state.state == "waiting"
    assert "lamp absent cannot be lit (No such file or directory)" in state.reason
    assert device.streams == []
    with pytest.raises(HardwareError, match=r"privacy\.lamp"):
        Lamp("absent", tmp_path).opening()
