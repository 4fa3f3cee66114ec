"""The microphone: real PortAudio on a real sound server, and a fake for what that never shows."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soxr

from edge.audio import microphone
from edge.audio.lamp import Lamp
from edge.audio.microphone import AudioBlock, AudioState, Microphone, MicrophoneSettings
from edge.errors import ConfigError, RuntimeUnavailable
from tests import fake_portaudio
from tests.fake_portaudio import FakeDevice, FakePyAudio, FakeStream
from tests.sound_server import MICROPHONE, SoundServer, sound_server

NOISE = np.random.default_rng([7, 3]).standard_normal(6 * 48_000) * 0.05
REAL = MicrophoneSettings(device=f"name:{MICROPHONE}", retry_s=0.2)
EAGER = MicrophoneSettings(retry_s=0.05)
DEADLINE_S = 5.0  # within which NO AUDIO has to be said


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="earsight") as name:
        yield Path(name)


@pytest.fixture
def server(folder: Path) -> Iterator[SoundServer]:
    with sound_server(folder) as running:
        yield running


class Listener:
    """Drains a microphone in a thread, as the daemon does."""

    def __init__(self, settings: MicrophoneSettings, lamp: Lamp | None = None) -> None:
        self.microphone = Microphone(settings, lamp)
        self.states: list[AudioState] = []
        self.blocks: list[AudioBlock] = []
        self._thread = threading.Thread(target=self._drain, daemon=True)

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.microphone.close()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def until(self, state: str, reason: str = "", after: int = 0) -> float:
        """Wait for a state said after the first `after`; return how long it took, seconds."""
        began = time.monotonic()
        while time.monotonic() - began < 20:
            for said in self.states[after:]:
                if said.state == state and reason in said.reason:
                    return time.monotonic() - began
            time.sleep(0.02)
        raise AssertionError(f"no {state} {reason!r} among {self.states[after:]}")

    def samples(self) -> np.ndarray:
        """Return what was heard on its time line; what was lost is zeros."""
        line = np.zeros(self.blocks[-1].first + len(self.blocks[-1].samples))
        for block in self.blocks:
            line[block.first : block.first + len(block.samples)] = block.samples
        return line

    def _drain(self) -> None:
        for item in self.microphone.blocks():
            (self.states if isinstance(item, AudioState) else self.blocks).append(item)


def likeness(heard: np.ndarray, source: np.ndarray) -> float:
    """Return the correlation of the source with the stretch of `heard` that fits it best."""
    size = len(heard) + len(source)
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(source, size))
    lag = int(np.fft.irfft(spectrum, size)[: len(heard)].argmax())
    return float(np.corrcoef(heard[lag : lag + len(source)], source[: len(heard) - lag])[0, 1])


def test_16_khz_mono_arrives_as_played(server: SoundServer) -> None:
    source = NOISE[: 3 * 16_000]
    with Listener(REAL) as listener:
        listener.until("listening")
        server.play(source).wait()
        time.sleep(1)
    assert listener.states[1].rate == 16_000
    assert likeness(listener.samples(), source) > 0.999
    assert sum(block.lost for block in listener.blocks) == 0


def test_48_khz_of_one_live_channel_arrives_resampled_at_its_own_level(folder: Path) -> None:
    source = NOISE[: 3 * 48_000]
    phases = [soxr.resample(source[phase:], 48_000, 16_000) for phase in range(3)]
    with (
        sound_server(folder, 48_000, 2) as server,
        Listener(MicrophoneSettings(f"name:{MICROPHONE}", rate=48_000)) as listener,
    ):
        listener.until("listening")
        server.play(np.stack([np.zeros_like(source), source], axis=1)).wait()
        time.sleep(1)
    assert listener.states[1].rate == 48_000
    heard = listener.samples()
    assert max(likeness(heard, wanted) for wanted in phases) > 0.999
    assert np.square(heard).sum() == pytest.approx(np.square(phases[0]).sum(), rel=0.02)


def test_a_killed_server_is_no_audio_and_a_restarted_one_is_heard(server: SoundServer) -> None:
    with Listener(REAL) as listener:
        server.play(NOISE)
        listener.until("listening")
        time.sleep(1)
        said = len(listener.states)
        server.kill()
        assert listener.until("no_audio", "gone", said) < DEADLINE_S
        listener.until("no_audio", "no microphone", said)
        before = len(listener.blocks)
        said = len(listener.states)
        server.start()
        server.play(NOISE[: 4 * 16_000])
        listener.until("listening", after=said)
        time.sleep(2)
        after = listener.blocks[before:]
    assert listener.states[-1].reopened == 1
    assert after[0].lost > 0
    last = listener.blocks[before - 1]
    assert after[0].first == last.first + len(last.samples) + after[0].lost
    assert max(np.abs(block.samples).max() for block in after) > 0.05


def test_a_stalled_server_is_no_audio_and_holds_up_nobody(server: SoundServer) -> None:
    with Listener(REAL) as listener:
        server.play(NOISE)
        listener.until("listening")
        said = len(listener.states)
        server.stall()
        assert listener.until("no_audio", "stalled", said) < DEADLINE_S
        listener.until("no_audio", "does not answer", said)
        said = len(listener.states)
        server.resume()
        listener.until("listening", after=said)
        server.stall()
    server.resume()
    for thread in threading.enumerate():
        if thread.name == "audio-job":  # the closing that the server held up
            thread.join(10)
            assert not thread.is_alive()


def test_a_silent_microphone_is_no_audio_until_it_is_switched_on(server: SoundServer) -> None:
    with Listener(REAL) as listener:
        listener.until("listening")
        assert listener.until("no_audio", "constant zeros") < DEADLINE_S + 1  # a late first block
        assert listener.microphone.level_dbfs == -120
        said = len(listener.states)
        server.play(NOISE)
        listener.until("listening", after=said)
        assert listener.microphone.level_dbfs > -60
    assert sum(block.lost for block in listener.blocks) == 0


def test_the_lamp_burns_as_long_as_the_server_sees_a_stream(
    server: SoundServer, folder: Path
) -> None:
    lamp = folder / "lamp"

    def burns_and_records() -> tuple[str, int]:
        return lamp.read_text().strip(), server.recorders()

    with Listener(REAL, Lamp(str(lamp))) as listener:
        listener.until("listening")
        assert burns_and_records() == ("1", 1)
        listener.microphone.mute(True)
        listener.until("muted")
        assert burns_and_records() == ("0", 0)
        said = len(listener.states)
        listener.microphone.mute(False)
        listener.until("listening", after=said)
        assert burns_and_records() == ("1", 1)
    assert burns_and_records() == ("0", 0)


def test_portaudio_looks_for_devices_without_a_word(
    server: SoundServer, capfd: pytest.CaptureFixture[str]
) -> None:
    from edge.audio.devices import list_microphones

    assert [m.name for m in list_microphones() if m.default] == ["default"]
    assert capfd.readouterr().err == ""
    assert "JACK_NO_START_SERVER" in os.environ


def test_the_fake_has_the_numbers_of_pyaudio() -> None:
    pyaudio = pytest.importorskip("pyaudio")
    real = {name: getattr(pyaudio, name) for name in fake_portaudio.CONSTANTS}
    assert real == fake_portaudio.CONSTANTS


def speak(stream: FakeStream) -> None:
    """Deliver three seconds of noise in chunks."""
    frames = NOISE[: 3 * stream.rate, None].repeat(stream.channels, axis=1)
    for chunk in np.array_split(frames, 47):
        stream.deliver(chunk)


def hear(
    patch: pytest.MonkeyPatch,
    device: FakeDevice,
    seconds: float,
    settings: MicrophoneSettings = EAGER,
) -> tuple[list[AudioState], list[AudioBlock], Microphone]:
    """Listen to a fake device until so much was heard."""
    fake_portaudio.install(patch, device)
    mic = Microphone(settings)
    states, blocks = [], []
    for item in mic.blocks():
        (states if isinstance(item, AudioState) else blocks).append(item)
        if sum(len(block.samples) for block in blocks) >= seconds * 16_000:
            mic.close()
    assert FakePyAudio.alive == 0
    assert all(stream.closed or stream.gone for stream in device.streams)
    return states, blocks, mic


@pytest.mark.parametrize(
    ("device", "rate", "dtype", "channels"),
    [
        (FakeDevice("takes all", 1), 16_000, np.int32, 1),
        (FakeDevice("usb", 1, 44_100, (44_100,), (8,)), 44_100, np.int16, 1),
        (FakeDevice("i2s", 2, 48_000, (48_000,), (2,)), 48_000, np.int32, 2),
        (FakeDevice("odd", 1, 32_000, (32_000, 48_000)), 32_000, np.int32, 1),
        (FakeDevice("liar", 1, 11_025, (48_000,)), 48_000, np.int32, 1),
    ],
    ids=lambda value: value.name if isinstance(value, FakeDevice) else "",
)
def test_rate_format_and_channels_are_negotiated(
    monkeypatch: pytest.MonkeyPatch, device: FakeDevice, rate: int, dtype: type, channels: int
) -> None:
    device.script, device.streams = speak, []
    states, blocks, _ = hear(monkeypatch, device, 2.5)
    stream = device.streams[-1]
    assert (stream.rate, stream.dtype, stream.channels) == (rate, dtype, channels)
    assert states[-1] == AudioState("listening", "", device.name, rate, 0, 0)
    heard = np.concatenate([block.samples for block in blocks])
    wanted = soxr.resample(NOISE[rate // 4 : 3 * rate], rate, 16_000)[: len(heard)]  # no garbage
    assert likeness(heard, wanted[: len(heard)]) > 0.99
    np.testing.assert_allclose(heard[1_000:30_000], wanted[1_000:30_000], atol=5e-3)


def test_the_first_quarter_second_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    def garbage_first(stream: FakeStream) -> None:
        stream.deliver(np.full((4_000, 1), 0.9))
        speak(stream)

    _, blocks, _ = hear(monkeypatch, FakeDevice("mems", script=garbage_first), 2)
    assert blocks[0].first == 0
    assert max(np.abs(block.samples).max() for block in blocks) < 0.4


def test_an_overflow_is_a_gap_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def overflow(stream: FakeStream) -> None:
        for start in range(0, 3 * stream.rate, 4_800):
            chunk = NOISE[start : start + 4_800, None]
            stream.deliver(chunk, status=2 if start == 48_000 else 0)
        stream.active = False

    device = FakeDevice("slow", rates=(48_000,), script=overflow)
    fake_portaudio.install(monkeypatch, device)
    mic = Microphone(EAGER)
    blocks = []
    for item in mic.blocks():
        if isinstance(item, AudioState) and item.state == "no_audio":
            assert item.overruns == 1
            break
        if isinstance(item, AudioBlock):
            blocks.append(item)
    gaps = [block.lost for block in blocks if block.lost]
    assert gaps == [1_600]  # at least a chunk of 4800 frames was lost
    for block, after in pairwise(blocks):
        assert after.first == block.first + len(block.samples) + after.lost
    assert all(result == (None, 0) for result in device.streams[0].results)


def test_a_callback_that_gets_rubbish_raises_nothing_and_reopens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def rubbish(stream: FakeStream) -> None:
        speak(stream)
        if len(device.streams) == 1:
            stream.call(b"\x00" * 7, 2)

    device = FakeDevice("broken", script=rubbish)
    states, _, _ = hear(monkeypatch, device, 5)
    assert any("cannot be used" in state.reason for state in states)
    assert all(result == (None, 0) for stream in device.streams for result in stream.results)


def test_a_microphone_pulled_out_is_no_audio_until_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def pull(stream: FakeStream) -> None:
        speak(stream)
        if len(device.streams) == 1:
            plugged.remove(device)
            stream.gone = True
            threading.Timer(0.5, plugged.append, [device]).start()

    device = FakeDevice("usb", script=pull)
    plugged = fake_portaudio.install(monkeypatch, device)
    mic = Microphone(EAGER)
    states, blocks = [], []
    for item in mic.blocks():
        (states if isinstance(item, AudioState) else blocks).append(item)
        if sum(state.state == "listening" for state in states) == 2:
            mic.close()
    said = [state.state for state in states]
    assert said[:3] == ["waiting", "listening", "no_audio"]
    assert "Stream closed" in states[2].reason
    assert any("no default microphone" in state.reason for state in states)
    assert states[-1].reopened == 1
    assert FakePyAudio.alive == 0


def test_a_dead_callback_is_no_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = MicrophoneSettings(retry_s=0.05, stall_s=0.3)
    states, _, _ = hear(monkeypatch, FakeDevice("dead", script=speak), 4, settings)
    assert [state.state for state in states[:4]] == [
        "waiting",
        "listening",
        "no_audio",
        "listening",
    ]
    assert states[2].reason.startswith("no sound for 0.3 s")


def test_constant_values_are_no_audio_and_zeros_s_0_never_minds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stuck(stream: FakeStream) -> None:
        for _ in range(30):
            stream.deliver(np.full((1_600, 1), 0.25))

    settings = MicrophoneSettings(zeros_s=1)
    states, _, _ = hear(monkeypatch, FakeDevice("stuck", script=stuck), 2.5, settings)
    assert states[-1].state == "no_audio"
    assert states[-1].reason.startswith("constant values")
    settings = MicrophoneSettings(zeros_s=0)
    states, _, _ = hear(monkeypatch, FakeDevice("stuck", script=stuck), 2.5, settings)
    assert states[-1].state == "listening"


def test_a_stuck_microphone_is_reopened_and_no_audio_until_something_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wake_up(stream: FakeStream) -> None:
        if len(device.streams) == 3:
            speak(stream)
        for _ in range(30):
            stream.deliver(np.zeros((1_600, 1)))

    monkeypatch.setattr(microphone, "REOPEN_STUCK_S", 1.5)
    device = FakeDevice("stuck", script=wake_up)
    states, _, _ = hear(monkeypatch, device, 9, MicrophoneSettings(zeros_s=1, retry_s=0.05))
    audible = [state for state in states if state.state == "listening"]
    assert [state.reopened for state in audible] == [0, 2]
    assert states[-1].state == "no_audio"


@pytest.mark.parametrize(
    ("device", "settings", "reason"),
    [
        (FakeDevice("mic", busy=True), MicrophoneSettings(), "another program uses it"),
        (FakeDevice("mic", rates=(8_000,)), MicrophoneSettings(), "refuses 16000, 44100, 48000 Hz"),
        (FakeDevice("mic"), MicrophoneSettings(rate=96_000), "refuses 96000 Hz"),
        (FakeDevice("mic"), MicrophoneSettings(channel="2"), "with 3 of its 1 channels"),
        (FakeDevice("mic"), MicrophoneSettings(device="name:other"), "no microphone name:other"),
        (FakeDevice("mic"), MicrophoneSettings(device="port:1-1"), "no microphone port:1-1"),
    ],
)
def test_what_cannot_be_opened_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, device: FakeDevice, settings: MicrophoneSettings, reason: str
) -> None:
    fake_portaudio.install(monkeypatch, device)
    mic = Microphone(settings)
    blocks = mic.blocks()
    assert next(blocks).state == "waiting"
    state = next(blocks)
    assert isinstance(state, AudioState)
    assert state.state == "waiting"
    assert reason in state.reason
    blocks.close()
    assert FakePyAudio.alive == 0


def test_muting_closes_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    device = FakeDevice("mic", script=speak)
    fake_portaudio.install(monkeypatch, device)
    mic = Microphone(MicrophoneSettings())
    said = []
    for item in mic.blocks():
        if isinstance(item, AudioBlock):
            mic.mute(True)
            continue
        said.append(item.state)
        if item.state == "muted":
            assert device.streams[-1].closed
            assert mic.level_dbfs == -120
            if len(device.streams) == 2:
                mic.close()
            mic.mute(False)
    assert said == ["waiting", "listening", "muted", "listening", "muted"]


def test_a_consumer_that_lets_go_closes_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    device = FakeDevice("mic", script=speak)
    fake_portaudio.install(monkeypatch, device)
    blocks = Microphone(MicrophoneSettings()).blocks()
    while not isinstance(next(blocks), AudioBlock):
        pass
    blocks.close()
    assert device.streams[0].closed
    assert FakePyAudio.alive == 0


@pytest.mark.parametrize(
    "settings",
    [
        MicrophoneSettings(device="hw:1"),
        MicrophoneSettings(channel="left"),
        MicrophoneSettings(rate=-1),
        MicrophoneSettings(rate=4_000),
        MicrophoneSettings(stall_s=0),
        MicrophoneSettings(retry_s=0),
        MicrophoneSettings(zeros_s=-1),
    ],
)
def test_impossible_settings_are_refused(
    monkeypatch: pytest.MonkeyPatch, settings: MicrophoneSettings
) -> None:
    fake_portaudio.install(monkeypatch)
    with pytest.raises(ConfigError):
        Microphone(settings)


def test_without_pyaudio_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyaudio", None)
    with pytest.raises(RuntimeUnavailable, match=r"pip install 'earsight\[mic\]'"):
        Microphone(MicrophoneSettings())
