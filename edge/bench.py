"""Measures what hearing costs on this machine: each stage, the whole, memory and starting.

Synthetic sound is used, so that every machine measures the same: noise at an even level is silence
to the gate, noise that comes and goes keeps gate and detector busy as speech does. Times are wall
times unless called CPU; run it on an idle machine.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .audio.file import RATE
from .audio.speech import CHUNK, SpeechFinder, silero
from .bundle import load_bundle
from .face.gallery import Gallery, Person
from .face.photo import to_png
from .pipeline import Ear
from .types import Float32, Sighting, Utterance
from .votes import DecisionSettings, Votes

SPOKEN_S = 4.0  # a usual utterance: two windows of the encoder
LOOKS = 40
PEOPLE = 24
LISTENED_S = 24.0
BLOCK_S = 0.1  # how the microphone delivers
STARTS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One figure."""

    name: str
    p50: float
    p95: float  # equal to p50 where there is one value only
    unit: str


def measure(bundle_path: Path) -> list[Row]:
    """Measure everything, in half a minute on a fast machine.

    Raises:
        BundleError: the bundle cannot be used.
        RuntimeUnavailable: a package that hearing needs is not installed.
    """
    return [
        *_starting(bundle_path),
        *_stages(bundle_path),
        *_listening(bundle_path),
        *_memory(),
    ]


def _starting(bundle_path: Path) -> Iterator[Row]:
    code = "import sys; from edge.cli import main; sys.exit(main(['--version']))"
    yield _row("start: the command", _times(lambda: _python(code), STARTS), "ms")
    code = "import edge.daemon"
    yield _row("start: all imports of the daemon", _times(lambda: _python(code), STARTS), "ms")
    yield _row("start: open the models", _times(lambda: _ear(bundle_path), STARTS), "ms")


def _stages(bundle_path: Path) -> Iterator[Row]:
    """Time each stage for one usual utterance."""
    ear, votes = _ear(bundle_path), Votes(DecisionSettings())
    utterance = Utterance(_come_and_go(SPOKEN_S), 0.0, SPOKEN_S, "bench")
    ear.look(utterance)
    seen: list[Sighting] = []

    def look() -> None:
        seen.append(ear.look(utterance))

    whole = _times(look, LOOKS)
    for stage in ("frontend", "encode", "match", "decode"):
        yield _row(stage, [getattr(sighting.timings, stage) for sighting in seen], "ms")
    last = seen[-1]
    yield _row("decide", _times(lambda: votes.decide(last.voice, last.matches, 0.0), LOOKS), "ms")
    portrait = last.portrait
    png = [0.0]
    if portrait is not None:
        png = _times(lambda: to_png(portrait.pixels), LOOKS)
        yield _row("portrait as PNG", png, "ms")
    total = [each + statistics.median(png) for each in whole]
    yield _row(f"event after an utterance of {SPOKEN_S:g} s", total, "ms")
    factor = [each / 1e3 / SPOKEN_S for each in total]
    yield _row("real-time factor of that", factor, "s per s")


def _listening(bundle_path: Path) -> Iterator[Row]:
    """Take the CPU time for a second of sound, in percent of a core; speech is also looked at."""
    steady = np.random.default_rng([51]).normal(0, 1e-3, round(LISTENED_S * RATE))
    speech = _come_and_go(LISTENED_S)
    for name, sound, looks in (
        ("CPU: listening to silence", steady.astype(np.float32), 0.0),
        ("CPU: listening to speech", speech, _look_cpu_s(bundle_path, speech) / SPOKEN_S),
    ):
        finder = SpeechFinder("bench", detect=silero())
        step = round(BLOCK_S * RATE)
        shares = []
        for start in range(0, len(sound), RATE):
            began = time.thread_time()
            for block in range(start, start + RATE, step):
                list(finder.feed(sound[block : block + step]))
            shares.append(100.0 * (time.thread_time() - began + looks))
        yield _row(name, shares[10:], "% of a core")  # the gate knows the noise after 8 s


def _look_cpu_s(bundle_path: Path, speech: Float32) -> float:
    """Return the CPU time that one usual utterance costs after it is found, seconds."""
    ear = _ear(bundle_path)
    utterance = Utterance(speech[: round(SPOKEN_S * RATE)], 0.0, SPOKEN_S, "bench")
    ear.look(utterance)
    began = time.thread_time()
    for _ in range(LOOKS):
        portrait = ear.look(utterance).portrait
        if portrait is not None:
            to_png(portrait.pixels)
    return (time.thread_time() - began) / LOOKS


def _memory() -> Iterator[Row]:
    """Read what this process, which has opened and run everything, holds."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return
    kb = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines() if " kB" in line}
    yield _row("memory (RSS)", [kb["VmRSS"] / 1e3], "MB")
    yield _row("memory, highest", [kb["VmHWM"] / 1e3], "MB")


def _ear(bundle_path: Path) -> Ear:
    bundle = load_bundle(bundle_path)
    space = bundle.manifest.embedding
    vectors = np.random.default_rng([52]).normal(size=(PEOPLE, space.dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = enumerate(vectors.astype(np.float32))
    people = tuple(Person(f"p{i}", f"Person {i}", vector, b"") for i, vector in rows)
    return Ear(bundle, Gallery(space.space_id, people))


def _come_and_go(seconds: float) -> Float32:
    """Return noise in syllables: four rises a second, 30 dB above a steady floor."""
    rng = np.random.default_rng([53])
    n = round(seconds * RATE) // CHUNK * CHUNK
    envelope = 1e-3 + 0.1 * np.sin(np.pi * 4 * np.arange(n) / RATE) ** 2
    sound: Float32 = (rng.normal(size=n) * envelope).astype(np.float32)
    return sound


def _python(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def _times(call: Callable[[], object], count: int) -> list[float]:
    """Return the wall time of each of `count` calls, milliseconds."""
    found = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        found.append(1e3 * (time.perf_counter() - start))
    return found


def _row(name: str, values: list[float], unit: str) -> Row:
    p50, p95 = np.percentile(values, [50, 95])
    return Row(name, float(p50), float(p95), unit)
