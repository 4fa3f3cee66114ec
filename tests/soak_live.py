"""Let the daemon listen for half an hour: memory, files, threads and queues must stay as they are.

Run: python -m tests.soak_live [--minutes 30] [--report FILE.md]

The real daemon with everything on: PortAudio capture from a private sound server, the bundle that
ships, a journal on disk, JSON lines, the page, and MQTT where mosquitto is installed. It hears a
minute of noise, a minute of speech, and so on: ALSA's test phrases, spoken by one person, in noise.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from tests.broker import MOSQUITTO, Broker
from tests.soak_report import Sample, Soaked, failures, write_report
from tests.sound_server import SoundServer, sound_server

ROOT = Path(__file__).resolve().parents[1]
PHRASES = Path("/usr/share/sounds/alsa")
RATE = 16_000
PHASE_S = 60.0  # of noise, then of speech
NOISE = 1e-3  # RMS
EVERY_S = 10.0
START_S = 180.0


def make_sound(seconds: float) -> np.ndarray:
    """Return phases of noise and of phrases in noise, as 16-bit integers."""
    chance, rng = random.Random(7), np.random.default_rng(7)
    phrases = []
    for path in sorted(PHRASES.glob("*.wav")):
        if path.stem != "Noise":
            samples, rate = soundfile.read(path)
            phrases.append(soxr.resample(samples, rate, RATE))
    if not phrases:
        raise SystemExit("needs ALSA's test sounds: apt install alsa-utils")
    sound = rng.normal(0, NOISE, round(seconds * RATE)).astype(np.float32)
    at = PHASE_S
    while at < seconds:
        phrase = phrases[chance.randrange(len(phrases))]
        if at // PHASE_S % 2 == 0:
            at = (at // PHASE_S + 1) * PHASE_S
            continue
        start = round(at * RATE)
        piece = phrase[: len(sound) - start]
        sound[start : start + len(piece)] += piece
        at += len(phrase) / RATE + chance.choice((0.2, 0.4, 1.5, 3.0))
    return np.rint(np.clip(sound, -1, 1) * 32767).astype(np.int16)


@dataclass
class Daemon:
    """The running daemon, as it is seen from outside."""

    process: subprocess.Popen[str]
    port: int  # of the page
    events: list[dict[str, Any]]

    def sample(self, began: float) -> Sample:
        """Look at it once."""
        folder = Path(f"/proc/{self.process.pid}")
        status = (folder / "status").read_text(encoding="ascii")
        fields = (folder / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
        metrics = self._metrics()
        return Sample(
            at_s=time.monotonic() - began,
            rss_mb=_number(status, r"VmRSS:\s+(\d+)") * 1024 / 1e6,
            threads=round(_number(status, r"Threads:\s+(\d+)")),
            files=len(list((folder / "fd").iterdir())),
            cpu_s=(int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
            waiting=round(_number(metrics, r"earsight_utterances_waiting (\S+)")),
            sinks_waiting=sum(
                round(float(n)) for n in re.findall(r"earsight_sink_waiting{\S+} (\S+)", metrics)
            ),
            listening='earsight_audio_state{state="listening"} 1' in metrics,
        )

    def _metrics(self) -> str:
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, timeout=30) as answer:
            text: str = answer.read().decode()
        return text


def soak(seconds: float, folder: Path) -> Soaked:
    """Let the daemon hear for a time and look at it every ten seconds."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(sound_server(folder, RATE))
        broker = Broker(folder) if MOSQUITTO is not None else None
        if broker is not None:
            stack.callback(broker.kill)
        daemon = stack.enter_context(_daemon(folder, broker))
        player = _play(server, make_sound(seconds + 30), folder)
        stack.callback(player.kill)
        began = time.monotonic()
        samples = []
        while (now := time.monotonic() - began) < seconds:
            time.sleep(EVERY_S - now % EVERY_S)
            samples.append(daemon.sample(began))
    return Soaked(tuple(samples), tuple(daemon.events), daemon.process.returncode, PHASE_S)


@contextlib.contextmanager
def _daemon(folder: Path, broker: Broker | None) -> Iterator[Daemon]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "device.toml"
    config.write_text(_configuration(folder, port, broker), encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EARSIGHT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "edge", "run", "--config", str(config), "--json"],
        stdout=subprocess.PIPE, text=True, env={**environment, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    daemon = Daemon(process, port, [])
    reader = threading.Thread(target=_read, args=(process, daemon.events), daemon=True)
    reader.start()
    try:
        deadline = time.monotonic() + START_S
        while not any(event.get("state") == "listening" for event in daemon.events):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the daemon does not listen: {daemon.events}")
            time.sleep(0.1)
        yield daemon
        process.terminate()
        process.wait(30)
        reader.join(30)
    finally:
        process.kill()
        process.wait()


def _configuration(folder: Path, port: int, broker: Broker | None) -> str:
    lines = [
        f'[journal]\nfolder = "{folder}/journal"',
        f"[web]\nenabled = true\nport = {port}",
        "[audio]\nzeros_s = 0.0",  # between two plays the sink gives zeros, as no room does
        '[service]\nlog = "warning"',
    ]
    if broker is not None:
        lines.append(f'[mqtt]\nenabled = true\nhost = "127.0.0.1"\nport = {broker.port}')
    return "\n".join(lines)


def _play(server: SoundServer, sound: np.ndarray, folder: Path) -> subprocess.Popen[bytes]:
    soundfile.write(folder / "soak.wav", sound, server.rate, subtype="PCM_16")
    return subprocess.Popen(
        ["paplay", "--device=sink", str(folder / "soak.wav")],
        env={**os.environ, **server.environment},
    )


def _read(process: subprocess.Popen[str], events: list[dict[str, Any]]) -> None:
    for line in process.stdout or ():
        events.append({**json.loads(line), "arrived_s": time.monotonic()})


def _number(text: str, pattern: str) -> float:
    found = re.search(rf"^{pattern}", text, re.MULTILINE)
    if found is None:
        raise SystemExit(f"no {pattern} in what the daemon tells")
    return float(found[1])


def main() -> int:
    """Soak, print and write the report; 1 when something grew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--report", type=Path, metavar="FILE.md")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ear"))
    try:
        soaked = soak(60.0 * arguments.minutes, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report = write_report(soaked, arguments.minutes)
    print(report)
    if arguments.report:
        arguments.report.parent.mkdir(exist_ok=True)
        arguments.report.write_text(report, encoding="utf-8")
    return int(bool(failures(soaked)))


if __name__ == "__main__":
    sys.exit(main())
