"""Measures what hearing costs on this machine: each stage, the whole, memory and starting.

Synthetic sound is used, so that every machine measures the same. Times are wall times; shares of a
core are processor time. Run it on an idle machine.
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

from .accelerator.delegate import AcceleratorSettings, choose_delegate
from .accelerator.failover import Accelerator
from .accelerator.session import AcceleratorError
from .audio.microphone import MicrophoneSettings
from .bench_daemon import make_voice, measure_daemon, measure_microphone
from .bundle import load_bundle
from .face.gallery import Gallery, Person
from .pipeline import Ear
from .png import encode_png
from .types import Sighting, Utterance
from .votes import DecisionSettings, Votes

SPOKEN_S = 4.0  # a usual utterance: two windows of the encoder
LOOKS = 40
PEOPLE = 24
STARTS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One figure."""

    name: str
    p50: float
    p95: float  # equal to p50 where there is one value only
    unit: str


def measure(bundle_path: Path, audio: MicrophoneSettings, threads: int = 1) -> list[Row]:
    """Measure everything, in one minute and a half on a fast machine.

    Args:
        bundle_path: the models.
        threads: CPU threads that each model may use.
        audio: the microphone that is listened to at the end, if there is one.

    Raises:
        BundleError: the bundle cannot be used.
        RuntimeUnavailable: a package that hearing needs is not installed.
    """
    return [
        *_starting(bundle_path, threads),
        *_stages(bundle_path, threads),
        *_listening(bundle_path, audio, threads),
    ]


def measure_accelerator(bundle_path: Path, settings: AcceleratorSettings) -> list[Row]:
    """Measure each model on the accelerator that a configuration asks for; nothing without one.

    "cold" is the first run after opening, which loads the parameters; "warm" a run after one of the
    same model; "switched" a run after another model, which is as fast when they share the memory.

    Raises:
        AcceleratorError: there is one, or one is asked for, and it cannot be used.
    """
    delegate, bundle = choose_delegate(settings), load_bundle(bundle_path)
    if delegate is None:
        return []
    accelerator = Accelerator(delegate, settings)
    opened = {model: accelerator.open(bundle, model) for model in bundle.manifest.models}
    if not accelerator.models:
        return []
    try:
        session = accelerator.open_session()
    except AcceleratorError as exc:
        if settings.use == "auto" and exc.verdict.state == "no_device":
            return []
        raise
    zeros = {
        model: {name: np.zeros(t.shape, t.dtype) for name, t in opened[model].inputs.items()}
        for model in accelerator.models
    }
    rows = []
    try:
        for model, inputs in zeros.items():
            warm = [session.run(model, inputs, settings.timeout_s)[1] for _ in range(LOOKS)]
            switched = []
            for other in [name for name in zeros if name != model]:
                for _ in range(LOOKS):
                    session.run(other, zeros[other], settings.timeout_s)
                    switched.append(session.run(model, inputs, settings.timeout_s)[1])
            where = f"{model} on {delegate.name}"
            rows += [_row(f"{where}: cold", [session.cold_ms[model]], "ms")]
            rows += [_row(f"{where}: warm", warm, "ms")]
            rows += [_row(f"{where}: switched", switched, "ms")] if switched else []
    finally:
        session.close()
    return rows


def _starting(bundle_path: Path, threads: int) -> Iterator[Row]:
    code = "import sys; from edge.cli import main; sys.exit(main(['--version']))"
    yield _row("start: the command", _times(lambda: _python(code), STARTS), "ms")
    code = "import edge.daemon"
    yield _row("start: all imports of the daemon", _times(lambda: _python(code), STARTS), "ms")
    yield _row("start: open the models", _times(lambda: _ear(bundle_path, threads), STARTS), "ms")


def _stages(bundle_path: Path, threads: int) -> Iterator[Row]:
    """Time each stage for one usual utterance."""
    ear, votes = _ear(bundle_path, threads), Votes(DecisionSettings())
    utterance = Utterance(make_voice(SPOKEN_S), 0.0, SPOKEN_S, "bench")
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
        png = _times(lambda: encode_png(portrait.pixels), LOOKS)
        yield _row("portrait as PNG", png, "ms")
    total = [each + statistics.median(png) for each in whole]
    yield _row(f"event after an utterance of {SPOKEN_S:g} s", total, "ms")
    factor = [each / 1e3 / SPOKEN_S for each in total]
    yield _row("real-time factor of that", factor, "s per s")


def _listening(bundle_path: Path, audio: MicrophoneSettings, threads: int) -> Iterator[Row]:
    gallery = _gallery(bundle_path)
    for reading in (
        *measure_daemon(bundle_path, gallery, threads),
        *measure_microphone(bundle_path, gallery, threads, audio),
    ):
        yield _row(*reading)


def _ear(bundle_path: Path, threads: int) -> Ear:
    return Ear(load_bundle(bundle_path), _gallery(bundle_path), threads=threads)


def _gallery(bundle_path: Path) -> Gallery:
    """Return people in any directions of the bundle's space."""
    space = load_bundle(bundle_path).manifest.embedding
    vectors = np.random.default_rng([52]).normal(size=(PEOPLE, space.dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = enumerate(vectors.astype(np.float32))
    people = tuple(Person(f"p{i}", f"Person {i}", vector, b"") for i, vector in rows)
    return Gallery(space.space_id, people)


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
