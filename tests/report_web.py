"""Measures what the page costs on a real sound server and takes its picture: `make web-report`.

Needs PulseAudio and Chromium (Debian: pulseaudio pulseaudio-utils libasound2-plugins chromium).
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import soundfile
import soxr
from PIL import Image

from tests.sound_server import SoundServer, sound_server
from tests.web_browser import ROOT, WORDS, DaemonProcess, chromium, until, write_speech

RATE = 16_000
TICKS = os.sysconf("SC_CLK_TCK")
SILENCE_S = 30.0  # of each measurement of the processor
DESK = {"viewport": {"width": 1200, "height": 1000}}
TELEPHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "color_scheme": "dark",
}


@dataclass(frozen=True)
class Cost:
    """One row of the report."""

    what: str
    resident_mb: float  # million bytes, after speech
    silence: float  # share of one core while nobody speaks


class Listener:
    """`earsight run` on the sound server, with more arguments."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edge", "run", *arguments],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "STATE_DIRECTORY": str(folder),
                "EARSIGHT_AUDIO__ZEROS_S": "0",  # nothing being played is digital zeros
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        self.address = ""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.search(r"page: (\S+)", line):
                self.address = found[1]
            if "listening" in line:
                break

    def cpu_s(self) -> float:
        """Return the processor time used so far."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident_mb(self) -> float:
        """Return the resident memory, million bytes."""
        statm = Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii")
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=60)


def measure(what: str, server: SoundServer, *arguments: str, browsers: int = 0) -> Cost:
    """Let a daemon hear speech, then silence."""
    words = soxr.resample(*soundfile.read(WORDS), RATE)
    with tempfile.TemporaryDirectory() as folder:
        listener = Listener(Path(folder), *arguments)
        with watching(listener.address, browsers):
            for _ in range(8):
                with server.play(words):
                    pass
                time.sleep(2)
            began, used = time.monotonic(), listener.cpu_s()
            time.sleep(SILENCE_S)
            silence = (listener.cpu_s() - used) / (time.monotonic() - began)
            cost = Cost(what, listener.resident_mb(), silence)
        listener.stop()
    print(cost, flush=True)
    return cost


@contextmanager
def watching(address: str, count: int) -> Iterator[None]:
    """Read the page's files once and its stream of events all the time, `count` times over."""
    over = threading.Event()

    def watch() -> None:
        for path in ("", "api/people", "api/history", "api/settings", "metrics"):
            urllib.request.urlopen(f"{address}{path}").read()
        with urllib.request.urlopen(f"{address}events") as stream:
            while not over.is_set():
                stream.readline()

    threads = [threading.Thread(target=watch, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    yield
    over.set()


def shoot(path: Path) -> None:
    """Save a picture of the page on a desk and, dark, on a telephone."""
    pictures = []
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        speech = Path(folder) / "speech.wav"
        write_speech(speech, minutes=5)
        daemon = DaemonProcess(Path(folder), speech, "127.0.0.1:0")
        for options in (DESK, TELEPHONE):
            with browser.page(daemon.address, **options) as page:
                until(page, "document.querySelectorAll('#entries li').length >= 3")
                page.wait_for_timeout(13_000)  # the spectrogram is full
                pictures.append(Image.open(io.BytesIO(page.screenshot(timeout=120_000))))
        daemon.stop()
    desk, telephone = pictures
    height = desk.height
    telephone = telephone.resize((round(telephone.width * height / telephone.height), height))
    sheet = Image.new("RGB", (desk.width + 24 + telephone.width, height), "#8a8f98")
    sheet.paste(desk, (0, 0))
    sheet.paste(telephone, (desk.width + 24, 0))
    sheet.quantize(192).save(path, optimize=True)


def report(costs: list[Cost]) -> str:
    """Return the page about it."""
    rows = [f"| {c.what} | {c.resident_mb:.1f} | {c.silence:.1%} |" for c in costs]
    return "\n".join(
        [
            "# What the page costs",
            "",
            "The daemon on a PulseAudio null sink hears two words eight times, then silence for",
            f"{SILENCE_S:g} s. Memory is resident memory after that, in million bytes; processor",
            "time is of one core, during the silence.",
            "",
            "| | memory, MB | processor |",
            "| --- | --- | --- |",
            *rows,
            "",
            f"Made by `make web-report` with Python {platform.python_version()} on "
            f"{platform.machine()}, {os.cpu_count()} cores. Some of the memory is",
            "what ALSA and PortAudio load on that machine; on a board it differs.",
            "",
            "![The page on a desk and on a telephone](web.png)",
            "",
        ]
    )


def main() -> None:
    """Measure, shoot, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="folder (docs)")
    folder = parser.parse_args().out
    with tempfile.TemporaryDirectory(prefix="ear") as short, sound_server(Path(short)) as server:
        costs = [
            measure("page off", server),
            measure("page on, nobody watches", server, "--web", "127.0.0.1:0"),
            measure("page on, one browser", server, "--web", "127.0.0.1:0", browsers=1),
            measure("page on, four browsers", server, "--web", "127.0.0.1:0", browsers=4),
        ]
    (folder / "web.md").write_text(report(costs), encoding="utf-8")
    shoot(folder / "web.png")


if __name__ == "__main__":
    main()
