"""Measures the daemon itself: a process of its own, which hears a made-up voice in real time.

First noise at an even level, which is silence to the gate; then phrases with pauses. Everything is
counted that the process does: capture, detector, models, portrait, journal on disk, JSON lines and,
where a web server is installed, the page with nobody watching. Where there is a microphone, the
daemon listens to that too, whatever is to be heard there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .audio.devices import list_microphones, resolve
from .audio.file import RATE
from .audio.microphone import MicrophoneSettings
from .config import PREFIX, DeviceConfig, to_tree
from .errors import EarsightError, RuntimeUnavailable
from .face.gallery import Gallery
from .face.gallery_file import save_gallery
from .types import Float32

SETTLE_S = 10.0  # the gate knows the noise after 8 s
SILENCE_S = 20.0
SPEECH_S = 24.0
PHRASE_S, PAUSE_S = 4.0, 2.0
START_S = 120.0  # a small board takes long to import everything
NOISE = 1e-3  # RMS, -60 dBFS
# Formants of men's vowels in "hod", "heed", "who'd", "head": Peterson and Barney 1952, table II
VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480))
SYLLABLES_HZ = 4.0
ARRIVED = "arrived_s"  # added to an event when its line came, monotonic

Reading = tuple[str, list[float], str]  # name, values, unit


def measure_daemon(bundle_path: Path, gallery: Gallery, threads: int) -> Iterator[Reading]:
    """Run the daemon on a made-up voice for a minute.

    Raises:
        RuntimeUnavailable: the daemon did not start; says why.
    """
    with tempfile.TemporaryDirectory(prefix="earsight-bench-") as name:
        folder = Path(name)
        _write_sound(folder / "voice.wav")
        config = _configuration(folder, bundle_path, gallery, threads)
        with _Daemon(config, "--input", folder / "voice.wav") as daemon:
            daemon.until_listening()
            daemon.cpu_share(SETTLE_S)
            yield "daemon: silence", [daemon.cpu_share(SILENCE_S)], "% of a core"
            yield "daemon: speech", [daemon.cpu_share(SPEECH_S)], "% of a core"
            yield "daemon: memory (RSS)", [daemon.memory_mb()], "MB"
        if heard := [_latency_ms(event) for event in daemon.events if event["kind"] == "heard"]:
            yield "daemon: event after the end of an utterance", heard, "ms"


def measure_microphone(
    bundle_path: Path, gallery: Gallery, threads: int, audio: MicrophoneSettings
) -> Iterator[Reading]:
    """Run the daemon on the microphone of a configuration; nothing without one.

    Raises:
        RuntimeUnavailable: the daemon did not start; says why.
    """
    try:
        resolve(audio.device, list_microphones())
    except EarsightError:
        return
    with tempfile.TemporaryDirectory(prefix="earsight-bench-") as name:
        config = _configuration(Path(name), bundle_path, gallery, threads, audio)
        with _Daemon(config) as daemon:
            daemon.until_listening()
            daemon.cpu_share(SETTLE_S)
            used = daemon.cpu_share(SILENCE_S)
            yield "daemon: the microphone, as it is now", [used], "% of a core"
            yield "daemon: memory (RSS) with it", [daemon.memory_mb()], "MB"


def make_voice(seconds: float) -> Float32:
    """Return a made-up voice, vowel after vowel, that the detector takes for one."""
    t = np.arange(round(seconds * RATE)) / RATE
    pitch = 120.0 * (1 + 0.15 * np.sin(2 * np.pi * 0.4 * t) + 0.03 * np.sin(2 * np.pi * 3.1 * t))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    syllable = (SYLLABLES_HZ * t).astype(int) % len(VOWELS_HZ)
    glide = np.hanning(RATE // 10)
    formants = [
        np.convolve(np.pad(track, (len(glide) // 2, len(glide) // 2 - 1), "edge"), glide, "valid")
        for track in np.array(VOWELS_HZ, float)[syllable].T / glide.sum()
    ]
    sound = np.zeros_like(t)
    for harmonic in range(1, 40):
        away = [(harmonic * pitch - formant) / 90.0 for formant in formants]
        gain = sum(1 / (1 + distance**2) / place for place, distance in enumerate(away, start=1))
        sound += gain / np.sqrt(harmonic) * np.sin(harmonic * phase)
    sound *= np.sqrt(np.sin(np.pi * (SYLLABLES_HZ * t % 1)))
    voice: Float32 = (0.1 * sound / np.abs(sound).max()).astype(np.float32)
    return voice


def _latency_ms(event: Mapping[str, Any]) -> float:
    """Return the time from the certain end of an utterance until its line was here.

    The clock is the daemon's, too; when the line came, the journal on disk had the event.
    """
    return float(event["latency_ms"] + 1e3 * (event[ARRIVED] - event["monotonic_s"]))


def _write_sound(path: Path) -> None:
    """Write noise, then phrases in noise, longer than is listened to."""
    try:
        import soundfile
    except (ImportError, OSError) as exc:
        raise RuntimeUnavailable(
            f"measuring the daemon needs soundfile ({exc}); run: pip install 'earsight[device]'"
        ) from exc
    phrase = np.pad(make_voice(PHRASE_S), (0, round(PAUSE_S * RATE)))
    quiet = np.zeros(round((SETTLE_S + SILENCE_S) * RATE), np.float32)
    phrases = np.tile(phrase, 2 + int(SPEECH_S / (PHRASE_S + PAUSE_S)))
    sound = np.concatenate([quiet, phrases])
    noise = np.random.default_rng([54]).normal(0, NOISE, len(sound))
    soundfile.write(path, sound + noise, RATE, subtype="PCM_16")


def _configuration(
    folder: Path,
    bundle_path: Path,
    gallery: Gallery,
    threads: int,
    audio: MicrophoneSettings | None = None,
) -> Path:
    """Write a configuration that leaves nothing to other layers."""
    save_gallery(folder / "people.gallery", gallery)
    base = DeviceConfig()
    tree = to_tree(replace(base, audio=audio or base.audio))
    tree["bundle"]["path"] = str(bundle_path)
    tree["bundle"]["threads"] = threads
    tree["gallery"]["path"] = str(folder / "people.gallery")
    tree["journal"]["folder"] = str(folder / "journal")
    tree["privacy"]["button"] = ""
    tree["web"]["enabled"] = bool(find_spec("uvicorn") and find_spec("starlette"))
    tree["web"]["port"] = 0
    tree["service"]["log"] = "error"
    lines = []
    for section, values in tree.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    path = folder / "bench.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


class _Daemon:
    """A running daemon and its events; ends with the block."""

    def __init__(self, config: Path, *options: object) -> None:
        self.events: list[dict[str, Any]] = []
        self._arrived = threading.Condition()
        self._command = [sys.executable, "-m", "edge", "run", "--config", str(config), "--json"]
        self._command += map(str, options)

    def __enter__(self) -> _Daemon:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
        environment["PYTHONPATH"] = str(Path(__file__).parents[1])
        self._process = subprocess.Popen(
            self._command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def until_listening(self) -> None:
        """Wait until sound comes."""

        def ready() -> bool:
            ended = self._process.poll() is not None
            return ended or any(event.get("state") == "listening" for event in self.events)

        with self._arrived:
            self._arrived.wait_for(ready, START_S)
        if not any(event.get("state") == "listening" for event in self.events):
            self._process.kill()
            said = self._process.stderr.read() if self._process.stderr else ""
            raise RuntimeUnavailable(f"the daemon cannot be measured: {said.strip() or 'no sound'}")

    def cpu_share(self, seconds: float) -> float:
        """Wait, and return what share of a core all its threads used meanwhile, percent."""
        before, began = self._cpu_s(), time.monotonic()
        time.sleep(seconds)
        return 100.0 * (self._cpu_s() - before) / (time.monotonic() - began)

    def memory_mb(self) -> float:
        """Return its resident memory, million bytes."""
        text = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        (line,) = [line for line in text.splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1]) * 1024 / 1e6

    def _cpu_s(self) -> float:
        """Return user and system time so far, in steps of a hundredth."""
        text = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _read(self) -> None:
        for line in self._process.stdout or ():
            with self._arrived:
                self.events.append({**json.loads(line), ARRIVED: time.monotonic()})
                self._arrived.notify_all()
        with self._arrived:
            self._arrived.notify_all()
