"""Kill a program that hears without pause, again and again: nothing it announced may be missing.

Run: python tests/soak_journal.py [--kills 200] [--seed 1] [--folder FOLDER]

A child process puts events with portraits into a fan-out of journal and JSON lines, as fast as the
disk takes them, and is ended with SIGKILL at a random moment, also while it opens the journal.
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
from dataclasses import dataclass
from pathlib import Path

from edge.events import Stamper
from edge.sinks.fanout import Fanout
from edge.sinks.journal import Journal, JournalSettings
from edge.sinks.journal_query import read_events
from edge.sinks.jsonl import JsonlSink

ROOT = Path(__file__).resolve().parents[1]
KEPT = 400  # events, by size; older ones leave while the soak goes on
PORTRAIT = b"\x89PNG" + bytes(4000)


@dataclass(frozen=True, slots=True)
class Soaked:
    """What one run saw."""

    kills: int
    announced: int  # events
    missing: int  # announced and not in the journal afterwards
    set_aside: int  # journals found corrupt
    damaged_portraits: int


def settings(folder: Path) -> JournalSettings:
    return JournalSettings(folder=str(folder), max_mb=8.0, keep_free_mb=0.0)


def write_for_ever(folder: Path) -> None:
    """Announce events on stdout until killed."""
    fanout = Fanout([JsonlSink()], first=Journal(settings(folder)), queue=64, patience_s=3600.0)
    stamper = Stamper()
    while True:
        if (
            fanout.status()[0].waiting < 32
        ):  # as fast as the disk, not faster: nothing may be dropped
            fanout.write(stamper.event("heard", {"text": "x" * 500}, PORTRAIT))
        else:
            time.sleep(0.001)


def soak(folder: Path, kills: int, seed: int) -> Soaked:
    """Kill the writer `kills` times, one in five while it starts, and compare after each time."""
    chance = random.Random(seed)
    announced = missing = damaged = 0
    for _ in range(kills):
        lines = _run_and_kill(folder, chance.uniform(0.0, 0.5), chance.random() < 0.2)
        Journal(settings(folder)).close()  # the restart that follows a kill in the field
        entries = read_events(folder, limit=0)
        held = {(e.body["monotonic_s"], e.body["sequence"]) for e in entries}
        newest = lines[-KEPT:]
        announced += len(lines)
        missing += sum((line["monotonic_s"], line["sequence"]) not in held for line in newest)
        damaged += sum(e.portrait is None or e.portrait.read_bytes() != PORTRAIT for e in entries)
    aside = len(list(folder.glob("set-aside-*")))
    return Soaked(kills, announced, missing, aside, damaged)


def _run_and_kill(folder: Path, after_s: float, from_start: bool) -> list[dict[str, object]]:
    """Return the lines that the writer had announced in full when it was killed.

    Args:
        folder: of the journal.
        after_s: when to kill it.
        from_start: whether that counts from its start or from its first line.
    """
    command = [sys.executable, "-m", "tests.soak_journal", "--write", str(folder)]
    with tempfile.TemporaryFile() as lines:
        child = subprocess.Popen(command, cwd=ROOT, stdout=lines)
        while not from_start and os.fstat(lines.fileno()).st_size == 0:
            time.sleep(0.01)
            if child.poll() is not None:
                raise RuntimeError(f"the writer ended by itself with {child.returncode}")
        time.sleep(after_s)
        child.send_signal(signal.SIGKILL)
        if child.wait() != -signal.SIGKILL:
            raise RuntimeError(f"the writer ended by itself with {child.returncode}")
        lines.seek(0)
        whole, _, _ = lines.read().rpartition(b"\n")
    return [json.loads(line) for line in whole.splitlines()]


def main() -> int:
    """Print the result; 0 when nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="on the disk to try; default: a temporary one")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write_for_ever(arguments.write)
    folder = Path(tempfile.mkdtemp(dir=arguments.folder))
    try:
        soaked = soak(folder, arguments.kills, arguments.seed)
    finally:
        shutil.rmtree(folder)
    print(soaked)
    return int(bool(soaked.missing or soaked.set_aside or soaked.damaged_portraits))


if __name__ == "__main__":
    sys.exit(main())
