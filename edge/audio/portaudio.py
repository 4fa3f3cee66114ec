"""PortAudio through PyAudio: loads it, keeps it quiet, opens a capture stream that works.

PortAudio knows the devices of the moment it was initialised, and initialises once for all users in
a process: after a device or sound server has gone, only terminating and a new `PyAudio()` sees
what is there. Opening and closing can block for as long as a sound server does not answer.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import HardwareError, RuntimeUnavailable
from ..stderr import silenced
from .file import RATE
from .lamp import Lamp
from .ring import Ring

CHUNK_S = 0.096  # per callback; PortAudio makes the driver's buffer twice as long
RING_S = 10.0  # what the capture thread may be late by
USUAL_RATES = (48_000, 44_100)
MOST_CHANNELS = 2  # opened without being asked for more: one microphone, or a stereo pair

_QUIET = (
    ("libasound.so.2", "snd_lib_error_set_handler"),
    ("libjack.so.0", "jack_set_error_function"),
    ("libjack.so.0", "jack_set_info_function"),
)


class CaptureStream:
    """A running stream that fills a ring, the PortAudio it belongs to, and the lamp that shows it.

    The lamp burns from before the device is opened until after it is closed.
    """

    def __init__(
        self,
        audio: Any,
        device: Any,
        rate: int,
        channels: int,
        dtype: type[np.signedinteger[Any]],
        lamp: Lamp,
    ) -> None:
        self.rate, self.channels = rate, channels
        self.device = str(device["name"])
        self.full_scale = -float(np.iinfo(dtype).min)
        self.ring = Ring(RING_S, rate, channels, dtype)
        self._audio = audio
        self._dtype = dtype
        self._called = time.monotonic()
        self._overflow = load_pyaudio().paInputOverflow
        self._continue = (None, load_pyaudio().paContinue)
        self.fault = ""  # what went wrong inside the callback
        self._lamp = lamp
        lamp.opening()
        try:
            self._stream = audio.open(
                rate,
                channels,
                _sample_format(dtype),
                input=True,
                input_device_index=device["index"],
                frames_per_buffer=round(CHUNK_S * rate),
                stream_callback=self._callback,
            )
        except BaseException:
            lamp.closed()
            raise

    def stopped(self) -> str:
        """Return why no more will come, "" while more may."""
        if self.fault:
            return self.fault
        try:
            return "" if self._stream.is_active() else "the device or its sound server is gone"
        except OSError as exc:  # -9988: PyAudio closed the stream itself
            return f"the device is gone ({explain(exc)})"

    def close(self) -> None:
        """Stop and give PortAudio back; blocks while a stalled sound server does not answer."""
        if self._audio is None:
            return
        audio, self._audio = self._audio, None
        try:
            self._stream.close()
        except OSError:
            pass  # it died before; PortAudio has let go of it
        finally:
            audio.terminate()
            self._lamp.closed()

    def _callback(self, data: bytes, frames: int, _time: object, status: int) -> tuple[None, int]:
        """Copy to the ring; an exception here would end the stream, so none leaves."""
        try:
            now = time.monotonic()
            late = round((now - self._called) * self.rate) - frames
            self._called = now
            samples = np.frombuffer(data, self._dtype).reshape(-1, self.channels)
            # PortAudio flags an overflow without saying how much: at least a chunk, or what the
            # clock says
            self.ring.write(samples, max(late, frames) if status & self._overflow else 0)
        except Exception as exc:
            self.fault = f"the driver delivered what cannot be used ({exc})"
        return self._continue


def load_pyaudio() -> ModuleType:
    """Import PyAudio.

    Raises:
        RuntimeUnavailable: PyAudio or PortAudio is not installed.
    """
    try:
        import pyaudio
    except (ImportError, OSError) as exc:
        raise RuntimeUnavailable(
            f"the microphone needs PyAudio ({exc}); run: sudo apt install gcc python3-dev "
            "portaudio19-dev; pip install 'earsight[mic]'"
        ) from exc
    module: ModuleType = pyaudio
    return module


def start_portaudio() -> Any:
    """Return a new `pyaudio.PyAudio()` that said nothing on stderr while it looked around.

    Raises:
        HardwareError: PortAudio cannot be initialised.
        RuntimeUnavailable: PyAudio or PortAudio is not installed.
    """
    pyaudio = load_pyaudio()
    os.environ.setdefault("JACK_NO_START_SERVER", "1")
    with _quiet():
        try:
            return pyaudio.PyAudio()
        except OSError as exc:
            raise HardwareError(f"PortAudio does not start ({explain(exc)}); try again") from exc


def open_stream(audio: Any, device: Any, rate: int, channels: int, lamp: Lamp) -> CaptureStream:
    """Open a device at the first rate, sample format and channel count that it takes.

    Args:
        audio: from `start_portaudio`; the stream terminates it when closed.
        device: PortAudio's description of the device.
        rate: Hz; 0 tries 16 kHz, then the device's own, 48 and 44.1 kHz.
        channels: wanted; 0 for a stereo pair where there is one.
        lamp: burns while the stream is open.

    Raises:
        HardwareError: it takes none, is in use, or went away; or the lamp cannot be lit.
    """
    pyaudio = load_pyaudio()
    refusals = (
        pyaudio.paInvalidSampleRate,
        pyaudio.paSampleFormatNotSupported,
        pyaudio.paInvalidChannelCount,
    )
    own = round(device["defaultSampleRate"])
    rates = [rate] if rate else list(dict.fromkeys((RATE, own, *USUAL_RATES)))
    most = int(device["maxInputChannels"])
    counts = [channels] if channels else list(dict.fromkeys((min(MOST_CHANNELS, most), 1)))
    refused = ""
    for try_rate in rates:
        for count in counts:
            # 32 bits first: PortAudio widens what is narrower, and I2S microphones are quiet
            for dtype in (np.int32, np.int16):
                try:
                    return CaptureStream(audio, device, try_rate, count, dtype, lamp)
                except HardwareError:
                    raise
                except (OSError, ValueError) as exc:
                    refused = explain(exc)
                    if exc.args[0] not in refusals:
                        raise HardwareError(f"{device['name']}: {refused}") from exc
    tried = ", ".join(map(str, rates))
    raise HardwareError(
        f"{device['name']}: refuses {tried} Hz with {' or '.join(map(str, counts))} of its {most} "
        f"channels ({refused}); set another rate or channel, or choose another microphone"
    )


def release_plugins() -> None:
    """Unload ALSA's plugins that are not in use; call it once a stream is open.

    PortAudio opens everything that ALSA's configuration names while it looks around, and ALSA keeps
    what that loads: with the codecs of a desktop 11 MB. Its next look reads all of it anew.
    """
    try:
        ctypes.CDLL("libasound.so.2").snd_config_update_free_global()
    except (OSError, AttributeError):
        return  # no ALSA


def explain(exc: Exception) -> str:
    """Return one line for a PortAudio error, with what to do about the frequent ones."""
    code = exc.args[0] if exc.args else None
    text = str(exc.args[1]) if len(exc.args) > 1 else str(exc)
    help_for = {
        -9985: "another program uses it, or this user is not in the group audio",
        -9996: "no such microphone now; is it plugged in?",
        -9999: "the driver or sound server failed",
    }
    advice = help_for.get(code) if isinstance(code, int) else None
    return f"{text}: {advice}" if advice else text


def _sample_format(dtype: type[np.signedinteger[Any]]) -> int:
    pyaudio = load_pyaudio()
    return int(pyaudio.paInt32 if dtype is np.int32 else pyaudio.paInt16)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep ALSA's and JACK's search for devices off stderr."""
    if _hush_libraries():
        yield
        return
    with silenced():
        yield


def _hush_libraries() -> bool:
    """Give ALSA and JACK message handlers that do nothing; False when ALSA's cannot be set.

    The handler is libc's getpid, which ignores its arguments: unlike a Python function it needs no
    interpreter in PortAudio's threads, nor after the interpreter has ended.
    """
    nothing = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
    hushed = set()
    for library, setter in _QUIET:
        try:
            getattr(ctypes.CDLL(library), setter)(nothing)
            hushed.add(setter)
        except (OSError, AttributeError):
            continue  # a PortAudio without JACK, or a system without ALSA
    return "snd_lib_error_set_handler" in hushed
