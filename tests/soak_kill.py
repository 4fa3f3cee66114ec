"""Kill the real daemon at random moments while somebody speaks: no event it announced may be lost.

Run: python -m tests.soak_kill [--kills 200] [--seed 1] [--folder FOLDER] [--report FILE.md]

One sound server plays speech without end. The daemon hears it through PortAudio, cuts it every
second, keeps events and portraits in its journal and announces each as a JSON line. It is ended
with SIGKILL at a random moment, one time in five while it starts. After each kill the journal is
opened as the next start opens it, and must hold every line that was announced in full, with its
portrait. FOLDER chooses the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from edge.bundle import default_bundle_path
from edge.sinks.journal import Journal, JournalSettings
from edge.sinks.journal_query import Entry, read_events
from tests.sound_server import SoundServer, sound_server

ROOT = Path(__file__).resolve().parents[1]
PHRASES = Path("/usr/share/sounds/alsa")
RATE = 16_000
LONGEST_S = 3.0  # from the first event to the kill
START_S = 120.0
PNG_BEGIN, PNG_END = b"\x89PNG", b"IEND\xaeB`\x82"


@dataclass
class Killed:
    """What one run saw."""

    kills: int = 0
    while_starting: int = 0  # of those, before the first event
    announced: Counter[str] = field(default_factory=Counter)  # events by kind
    missing: int = 0  # announced and not in the journal
    set_aside: int = 0  # journals found corrupt
    portraits: int = 0  # of events in the journal
    damaged_portraits: int = 0
    disk: str = ""

    def is_clean(self) -> bool:
        """Tell whether nothing was lost, and something could have been."""
        return bool(self.announced["heard"]) and not (
            self.missing or self.set_aside or self.damaged_portraits
        )


def speak(server: SoundServer) -> subprocess.Popen[bytes]:
    """Play ALSA's phrases over and over, for a day."""
    pieces = []
    for path in sorted(PHRASES.glob("*.wav")):
        if path.stem != "Noise":
            samples, rate = soundfile.read(path)
            pieces.append(soxr.resample(samples, rate, RATE))
    if not pieces:
        raise SystemExit("needs ALSA's test sounds: apt install alsa-utils")
    wav = Path(server.environment["HOME"]) / "speech.wav"
    soundfile.write(wav, np.concatenate(pieces), RATE, subtype="PCM_16")
    loop = 'while paplay --device=sink "$0"; do :; done'
    return subprocess.Popen(
        ["sh", "-c", loop, str(wav)],
        env={**os.environ, **server.environment},
        start_new_session=True,  # the shell and its player end together
    )


def soak(folder: Path, bundle: Path, kills: int, seed: int) -> Killed:
    """Kill the daemon `kills` times; `folder` is where its journal is."""
    chance, killed = random.Random(seed), Killed(disk=_disk_of(folder))
    with (
        tempfile.TemporaryDirectory(prefix="ear") as name,
        sound_server(Path(name), RATE) as server,
    ):
        speaker = speak(server)
        try:
            for _ in range(kills):
                starting = chance.random() < 0.2
                lines = _run_and_kill(folder, bundle, chance, starting)
                killed.kills += 1
                killed.while_starting += not lines
                _compare(folder, lines, killed)
        finally:
            os.killpg(speaker.pid, signal.SIGKILL)
            speaker.wait()
    return killed


def _run_and_kill(
    folder: Path, bundle: Path, chance: random.Random, starting: bool
) -> list[dict[str, Any]]:
    """Return the lines that the daemon had announced in full when it was killed."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "EARSIGHT_BUNDLE__PATH": str(bundle),
        "EARSIGHT_GALLERY__PATH": str(folder / "people.gallery"),
        "EARSIGHT_JOURNAL__FOLDER": str(folder / "journal"),
        "EARSIGHT_SPEECH__MAXIMUM": "1",  # an utterance every second
        "EARSIGHT_AUDIO__ZEROS_S": "0",
    }
    with tempfile.TemporaryFile() as lines:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "edge", "run", "--json"],
            stdout=lines, stderr=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        deadline = time.monotonic() + START_S
        while not starting and b'"heard"' not in _content(lines.fileno()):
            if daemon.poll() is not None or time.monotonic() > deadline:
                daemon.kill()
                raise RuntimeError(f"the daemon hears nothing; exit code {daemon.wait()}")
            time.sleep(0.02)
        time.sleep(chance.uniform(0.0, LONGEST_S))
        daemon.send_signal(signal.SIGKILL)
        if daemon.wait() != -signal.SIGKILL:
            raise RuntimeError(f"the daemon ended by itself with {daemon.returncode}")
        whole, _, _ = _content(lines.fileno()).rpartition(b"\n")
    return [json.loads(line) for line in whole.splitlines()]


def _compare(folder: Path, lines: list[dict[str, Any]], killed: Killed) -> None:
    """Open the journal as the next start does, and look for every line."""
    journal = folder / "journal"
    Journal(JournalSettings(folder=str(journal), keep_free_mb=0.0)).close()
    killed.set_aside = len(list(journal.glob("set-aside-*")))
    entries = {_key(entry.body): entry for entry in read_events(journal, limit=0)}
    killed.announced.update(line["kind"] for line in lines)
    killed.missing += sum(_key(line) not in entries for line in lines)
    ours = [entries[_key(line)] for line in lines if _key(line) in entries]
    portraits = [entry for entry in ours if entry.body["kind"] == "heard"]
    killed.portraits += len(portraits)
    killed.damaged_portraits += sum(not _has_portrait(entry) for entry in portraits)


def _key(body: dict[str, Any] | Any) -> tuple[str, float, int]:
    return body["boot_id"], body["monotonic_s"], body["sequence"]


def _has_portrait(entry: Entry) -> bool:
    if entry.portrait is None:
        return False
    content = entry.portrait.read_bytes()
    return content.startswith(PNG_BEGIN) and content.endswith(PNG_END)


def _content(handle: int) -> bytes:
    return os.pread(handle, os.fstat(handle).st_size, 0)


def _disk_of(folder: Path) -> str:
    found = subprocess.run(
        ["findmnt", "-no", "FSTYPE,SOURCE", "-T", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return found.stdout.split()[0] if found.stdout else "unknown"


def write_report(killed: Killed) -> str:
    """Return the report."""
    damaged = killed.damaged_portraits
    announced = ", ".join(f"{count} {kind}" for kind, count in sorted(killed.announced.items()))
    return f"""\
# Killed while it hears

The daemon, on speech through PortAudio without end, ended with SIGKILL at random moments and
started again on the same journal, on {killed.disk}. Made by `make soak-kill`.

| what | found |
| --- | --- |
| kills | {killed.kills}, of them {killed.while_starting} before the first event |
| events announced | {killed.announced.total()} ({announced}) |
| announced and not in the journal | {killed.missing} |
| journals found corrupt | {killed.set_aside} |
| portraits of announced events | {killed.portraits}, damaged or missing {damaged} |

A process that is killed leaves what the kernel already has, so that this shows the order of writing
and announcing; that a commit is on the disk before it is announced is SQLite's `synchronous=FULL`.
"""


def main() -> int:
    """Print the result and write the report; 0 when nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="on the disk to try; default: a temporary one")
    parser.add_argument("--report", type=Path, metavar="FILE.md")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=arguments.folder))
    try:
        shutil.copy(default_bundle_path().parent / "sample.gallery", folder / "people.gallery")
        killed = soak(folder, default_bundle_path(), arguments.kills, arguments.seed)
    finally:
        shutil.rmtree(folder)
    report = write_report(killed)
    print(report)
    if arguments.report:
        arguments.report.parent.mkdir(exist_ok=True)
        arguments.report.write_text(report, encoding="utf-8")
    return int(not killed.is_clean())


if __name__ == "__main__":
    sys.exit(main())
