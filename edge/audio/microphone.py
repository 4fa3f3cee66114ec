"""Listens to a microphone for months: says when it cannot, and comes back when it can.

Everything of PortAudio that can block, opening and closing, runs in a thread of its own, because a
sound server that has stopped answering holds it there for as long as it likes. One such thread at
a time: PortAudio's state belongs to the whole process.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import ConfigError, HardwareError
from .blocks import AudioBlock, BlockMaker, TimeLine
from .cards import capture_devices
from .conditioning import SILENCE_DBFS, Conditioner, check_channel
from .devices import check_selector, find_microphones, resolve
from .job import Job
from .lamp import Lamp
from .portaudio import (
    CaptureStream,
    explain,
    load_pyaudio,
    open_stream,
    release_plugins,
    start_portaudio,
)

__all__ = ["AudioBlock", "AudioState", "Microphone", "MicrophoneSettings"]

POLL_S = 0.2  # how soon a wish to mute or close is noticed
CLOSE_S = 0.5  # a healthy stream closes within this
STABLE_S = 10.0  # a stream that lived so long makes the next wait short again
LONGEST_RETRY_S = 30.0
REOPEN_STUCK_S = 30.0  # a driver that hangs may recover; a muted microphone loses nothing

State = Literal["listening", "no_audio", "waiting", "muted"]


@dataclass(frozen=True, slots=True)
class MicrophoneSettings:
    """Which microphone, how to hear it and when to worry."""

    device: str = "default"  # a selector, see devices.py
    rate: int = 0  # Hz; 0 negotiates: 16 kHz, else the device's own
    channel: str = "auto"  # "auto" (the live ones), "mix" (all), or a number from 0
    stall_s: float = 3.0  # without a single frame: the stream is dead
    zeros_s: float = 4.0  # without any change of value: muted or broken; 0 never minds
    retry_s: float = 1.0  # before the first attempt to reopen; doubles to 30


@dataclass(frozen=True, slots=True)
class AudioState:
    """What the microphone is doing, given out whenever it changes."""

    state: State  # "waiting": it has never been open yet
    reason: str  # one line, "" when listening
    device: str  # PortAudio's name of the open device, else the selector
    rate: int  # of the open device, Hz; 0 when none is
    overruns: int  # times that samples were lost, since the start
    reopened: int  # times, since the start


class Microphone:
    """One microphone; `blocks` belongs to one thread, everything else may come from any."""

    def __init__(self, settings: MicrophoneSettings, lamp: Lamp | None = None) -> None:
        """Check the settings; open nothing.

        Args:
            settings: which microphone and how.
            lamp: burns while a stream is open; None for none.

        Raises:
            ConfigError: a setting is impossible.
            RuntimeUnavailable: PyAudio is not installed.
        """
        check_selector(settings.device)
        check_channel(settings.channel)
        if settings.rate and not 8_000 <= settings.rate <= 384_000:
            raise ConfigError(f"rate {settings.rate}: write 0 to negotiate, or 8000..384000 Hz")
        if min(settings.stall_s, settings.retry_s) <= 0 or settings.zeros_s < 0:
            raise ConfigError("stall_s and retry_s: write more than 0; zeros_s: 0 or more")
        load_pyaudio()
        self.level_dbfs = SILENCE_DBFS  # RMS of the last block
        self._settings = settings
        self._lamp = lamp or Lamp("")
        self._muted = self._closed = False
        self._line = TimeLine()
        self._said: AudioState | None = None
        self._opened = 0
        self._overruns = 0  # of the streams before
        self._stuck = False  # the last that was heard never changed
        self._stream: CaptureStream | None = None

    def mute(self, on: bool) -> None:
        """Close the device, or open it again; returns at once, fit for a signal handler."""
        self._muted = on

    def close(self) -> None:
        """End `blocks` within a second; returns at once, fit for a signal handler."""
        self._closed = True

    def blocks(self) -> Iterator[AudioBlock | AudioState]:
        """Yield sound and, before what it applies to, every change of state, until `close`.

        Raises:
            RuntimeUnavailable: the device needs resampling and soxr is not installed.
        """
        delay = self._settings.retry_s
        yield from self._say("waiting", "opening the microphone")
        while not self._closed:
            if self._muted:
                yield from self._say("muted", "muted")
                time.sleep(POLL_S)
                continue
            began = time.monotonic()
            trouble = yield from self._session()
            if self._closed or self._muted:
                continue
            yield from self._say("no_audio" if self._opened else "waiting", trouble)
            if time.monotonic() - began > STABLE_S:
                delay = self._settings.retry_s
            self._pause(delay)
            delay = min(2 * delay, LONGEST_RETRY_S)

    def _session(self) -> Generator[AudioBlock | AudioState, None, str]:
        """Open the device and listen until something ends it; return what."""
        opening = Job(self._connect)
        if not (yield from self._await(opening, "open")):
            return ""
        try:
            stream = self._stream = opening.result()
        except HardwareError as exc:
            return str(exc)
        self._opened += 1
        try:
            trouble = yield from self._listen(stream)
        finally:
            self._stream = None
            self._overruns += stream.ring.overruns
            self.level_dbfs = SILENCE_DBFS
            closing = Job(stream.close)
            closing.wait(CLOSE_S)
        if trouble:
            yield from self._say("no_audio", trouble)
        yield from self._await(closing, "close")
        return trouble

    def _connect(self) -> CaptureStream:
        """Find and open the device as it is now; runs in a job."""
        settings = self._settings
        audio = start_portaudio()
        try:
            chosen = resolve(settings.device, find_microphones(audio))
            device = audio.get_device_info_by_index(chosen.index)
            channels = check_channel(settings.channel)
            stream = open_stream(audio, device, settings.rate, channels, self._lamp)
        except BaseException as exc:
            audio.terminate()
            if isinstance(exc, OSError) and not isinstance(exc, HardwareError):
                raise HardwareError(explain(exc)) from exc
            raise
        release_plugins()
        if self._closed:  # while a sound server kept this waiting, and nobody waits any more
            stream.close()
        return stream

    def _listen(self, stream: CaptureStream) -> Generator[AudioBlock | AudioState, None, str]:
        """Yield what a stream delivers; return why it ended, "" when that was wished."""
        conditioner = Conditioner(
            stream.rate, stream.channels, stream.full_scale, self._settings.channel
        )
        maker = BlockMaker(conditioner, stream.rate, self._line)
        heard = time.monotonic()
        while not (self._closed or self._muted):
            taken = stream.ring.read(stream.rate, POLL_S)
            if taken is None:
                if trouble := stream.stopped():
                    return trouble
                if time.monotonic() - heard > self._settings.stall_s:
                    return f"no sound for {self._settings.stall_s:g} s: device or server stalled"
                continue
            heard = time.monotonic()
            for block in maker.feed(*taken):
                self.level_dbfs = conditioner.level_dbfs
                yield from self._judge(conditioner, stream.rate)
                yield block
            if self._stuck and conditioner.stuck > REOPEN_STUCK_S * stream.rate:
                return conditioner.stuck_reason
        return ""

    def _judge(self, conditioner: Conditioner, rate: int) -> Iterator[AudioState]:
        """Say whether what arrives is sound: "no_audio" as long as it never changes."""
        limit_s = self._settings.zeros_s
        if limit_s and conditioner.stuck >= limit_s * rate:
            self._stuck = True
            yield from self._say("no_audio", conditioner.stuck_reason)
        elif conditioner.moving:
            self._stuck = False
        if not self._stuck:
            yield from self._say("listening", "")

    def _await(self, job: Job[Any], doing: str) -> Generator[AudioState, None, bool]:
        """Wait for a job and tell whether it ended; give up only when closed."""
        began = time.monotonic()
        while not job.wait(POLL_S):
            if self._closed:
                return False
            if time.monotonic() - began > self._settings.stall_s:
                state: State = "no_audio" if self._opened else "waiting"
                yield from self._say(state, f"the sound server does not answer (to {doing})")
        return True

    def _pause(self, seconds: float) -> None:
        """Wait; shorter when closed, muted, or a card came or went."""
        until = time.monotonic() + seconds
        cards = capture_devices()
        while time.monotonic() < until and not (self._closed or self._muted):
            time.sleep(min(POLL_S, seconds))
            if capture_devices() != cards:
                time.sleep(POLL_S)  # udev names and permits it just after
                return

    def _say(self, state: State, reason: str) -> Iterator[AudioState]:
        """Yield the state if it is not the one said last."""
        stream = self._stream
        now = AudioState(
            state=state,
            reason=reason,
            device=stream.device if stream else self._settings.device,
            rate=stream.rate if stream else 0,
            overruns=self._overruns + (stream.ring.overruns if stream else 0),
            reopened=max(0, self._opened - 1),
        )
        said = self._said
        if said is None or (said.state, said.reason) != (state, reason):
            self._said = now
            yield now
