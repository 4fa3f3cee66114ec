"""PyAudio's capture side without PortAudio, for what no sound server shows.

Refused rates, overflow flags, a device pulled out: with the error numbers that PyAudio raises, and
callbacks from a thread of its own. `install` puts it in the place of the module.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import pytest

CONSTANTS = {
    "paInt32": 2,
    "paInt16": 8,
    "paContinue": 0,
    "paInputOverflow": 2,
    "paInvalidSampleRate": -9997,
    "paSampleFormatNotSupported": -9994,
    "paInvalidChannelCount": -9998,
}
DTYPES = {2: np.int32, 8: np.int16}


@dataclass
class FakeDevice:
    """What is plugged in: refuses as PortAudio refuses, and plays its script to each stream."""

    name: str
    channels: int = 1
    own_rate: int = 44_100
    rates: tuple[int, ...] = (16_000, 44_100, 48_000)
    formats: tuple[int, ...] = (2, 8)
    busy: bool = False
    script: Callable[[FakeStream], None] = lambda stream: None
    streams: list[FakeStream] = field(default_factory=list)


class FakeStream:
    """A running stream; its device's script delivers to it."""

    def __init__(self, device: FakeDevice, rate: int, channels: int, fmt: int, call: Any) -> None:
        self.rate, self.channels, self.dtype = rate, channels, DTYPES[fmt]
        self.active, self.gone, self.closed = True, False, False
        self.results: list[Any] = []
        self._call = call
        device.streams.append(self)
        threading.Thread(target=device.script, args=(self,), daemon=True).start()

    def deliver(self, frames: np.ndarray, status: int = 0) -> None:
        """Call back with frames (n, channels), -1..1."""
        scale = -float(np.iinfo(self.dtype).min)
        data = np.rint(np.clip(frames * scale, -scale, scale - 1)).astype(self.dtype)
        self.call(data.tobytes(), len(frames), status)

    def call(self, data: bytes, frames: int, status: int = 0) -> None:
        """Call back with whatever bytes."""
        self.results.append(self._call(data, frames, {}, status))

    def is_active(self) -> bool:
        """Tell whether callbacks may come; raises as PyAudio does for a stream that died."""
        if self.gone:
            raise OSError(-9988, "Stream closed")
        return self.active

    def close(self) -> None:
        """Stop; raises as PyAudio does for a stream that died."""
        if self.gone:
            raise OSError(-9988, "Stream closed")
        self.active, self.closed = False, True


class FakePyAudio:
    """One initialised PortAudio: sees what was plugged in when it was made."""

    alive = 0  # initialised and not terminated

    def __init__(self, plugged: list[FakeDevice]) -> None:
        self._devices = list(plugged)
        self._plugged = plugged
        FakePyAudio.alive += 1

    def get_device_count(self) -> int:
        """Count what was plugged in when this was made."""
        return len(self._devices)

    def get_device_info_by_index(self, index: int) -> dict[str, Any]:
        """Return what the product reads of a device."""
        device = self._devices[index]
        return {
            "index": index,
            "name": device.name,
            "maxInputChannels": device.channels,
            "defaultSampleRate": float(device.own_rate),
        }

    def get_default_input_device_info(self) -> dict[str, Any]:
        """Return the first device."""
        if not self._devices:
            raise OSError("No Default Input Device Available")
        return self.get_device_info_by_index(0)

    def open(
        self,
        rate: int,
        channels: int,
        format: int,
        input: bool,
        input_device_index: int,
        frames_per_buffer: int,
        stream_callback: Any,
    ) -> FakeStream:
        """Open a running stream, or refuse in the order and with the numbers of PortAudio."""
        device = self._devices[input_device_index]
        if device not in self._plugged:
            raise OSError(-9999, "Unanticipated host error")
        if device.busy:
            raise OSError(-9985, "Device unavailable")
        if not 0 < channels <= device.channels:
            raise OSError(-9998, "Invalid number of channels")
        if format not in device.formats:
            raise OSError(-9994, "Sample format not supported")
        if rate not in device.rates:
            raise OSError(-9997, "Invalid sample rate")
        return FakeStream(device, rate, channels, format, stream_callback)

    def terminate(self) -> None:
        """Give PortAudio back."""
        FakePyAudio.alive -= 1


def install(patch: pytest.MonkeyPatch, *devices: FakeDevice) -> list[FakeDevice]:
    """Make `import pyaudio` give the fake; return what is plugged in, to change at will."""
    plugged = list(devices)
    module = ModuleType("pyaudio")
    vars(module).update(CONSTANTS, PyAudio=lambda: FakePyAudio(plugged))
    patch.setitem(sys.modules, "pyaudio", module)
    patch.setattr(FakePyAudio, "alive", 0)
    return plugged
