"""How long each step of `earsight hear` takes on this machine: a table, and the same as JSON.

Run: make bench, or python tests/bench.py [--bundle NAME.bundle] [--out out/bench.json]

Times are wall times of one thread, medians of many runs; those of the front-end are described in
`bench_frontend.py`, those of the search among many people in `bench_gallery.py`. Without a bundle
only the front-end, the start-up and that search are measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from edge.audio.file import RATE
from edge.bundle import MANIFEST, Bundle, default_bundle_path, load_bundle
from edge.face.gallery import Gallery, Person
from edge.face.gallery_file import save_gallery
from edge.pipeline import Ear
from edge.runtime import find_backend
from edge.storage import write_private
from edge.types import Utterance
from tests import bench_frontend, bench_gallery

LOOKS = 30  # utterances timed
STARTS = 7  # processes timed
SPOKEN_S = 4.0
SPEECH = Path("/usr/share/sounds/alsa/Front_Center.wav")
GALLERIES = (24, 1000)  # people to rank
# The command, then its own peak in kB: rusage would count the parent's memory at the fork.
HEAR = """
import sys
from edge.cli import main
code = main()
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
sys.exit(code or print(peak.split()[1], file=sys.stderr))
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure."""

    name: str
    value: float
    unit: str


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--out", type=Path, default=Path("out/bench.json"))
    args = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":  # NumPy reads it when it is loaded
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        raise SystemExit(subprocess.call([sys.executable, *sys.argv], env=environment))
    rows = [Row(**row) for row in bench_frontend.rows()]
    rows += start_up()
    if (args.bundle / MANIFEST).exists():
        bundle = load_bundle(args.bundle)
        rows += stages(bundle)
        rows += whole_command(bundle)
    else:
        print(f"{args.bundle} is not there: models are not measured\n")
    machine = describe_machine()
    width = max(len(row.name) for row in rows)
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    for row in rows:
        print(f"{row.name:{width}}  {row.value:10.3f}  {row.unit}")
    gallery = list(bench_gallery.rows())
    print("\nsearch for the ten best, one thread", *bench_gallery.lines(gallery), sep="\n")
    result = {"machine": machine, "rows": [asdict(row) for row in rows], "gallery": gallery}
    write_private(args.out, (json.dumps(result, indent=2) + "\n").encode())
    print(f"\nwritten to {args.out}")


def describe_machine() -> dict[str, str]:
    """Return what the figures depend on."""
    backend = find_backend()
    return {
        "machine": platform.machine(),
        "cores": str(os.cpu_count()),
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        backend.name: backend.version,
    }


def start_up() -> Iterator[Row]:
    """Time a new process, and what each import adds to one that does nothing."""
    empty = _median_ms("pass")
    yield Row("start: Python alone", empty, "ms")
    yield Row("start: + import edge.cli", _median_ms("import edge.cli") - empty, "ms")
    yield Row("start: + import edge.pipeline", _median_ms("import edge.pipeline") - empty, "ms")


def stages(bundle: Bundle) -> Iterator[Row]:
    """Time each stage of `Ear.look` on four seconds of noise, two windows of the encoder."""
    samples = np.random.default_rng([12]).normal(0, 0.1, round(SPOKEN_S * RATE))
    utterance = Utterance(samples.astype(np.float32), 0.0, SPOKEN_S, "noise")
    start = time.perf_counter()
    ear = Ear(bundle, _crowd(bundle, GALLERIES[0]))
    yield Row("open the models", 1e3 * (time.perf_counter() - start), "ms")
    ear.look(utterance)
    timings = [ear.look(utterance).timings for _ in range(LOOKS)]
    for stage in ("frontend", "encode", "match", "decode"):
        median = statistics.median(getattr(timing, stage) for timing in timings)
        yield Row(f"{stage}, {SPOKEN_S:g} s of speech", median, "ms")
    embedding = ear.look(utterance).voice.embedding
    crowd = _crowd(bundle, GALLERIES[1])
    times = []
    for _ in range(LOOKS):
        start = time.perf_counter()
        crowd.match(embedding, 5)
        times.append(time.perf_counter() - start)
    yield Row(f"match among {GALLERIES[1]} people", 1e3 * statistics.median(times), "ms")


def whole_command(bundle: Bundle) -> Iterator[Row]:
    """Time `earsight hear --json` on one of ALSA's test sounds, and its memory."""
    if not SPEECH.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        gallery = Path(folder) / "bench.gallery"
        save_gallery(gallery, _crowd(bundle, GALLERIES[0]))
        options = ["--json", "--bundle", str(bundle.path), "--gallery", str(gallery)]
        command = [sys.executable, "-c", HEAR, "hear", *options, str(SPEECH)]
        start = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - start
    yield Row(f"earsight hear {SPEECH.name}", 1e3 * seconds, "ms")
    yield Row("  its peak memory (RSS)", float(done.stderr) / 1e3, "MB")


def _crowd(bundle: Bundle, people: int) -> Gallery:
    space = bundle.manifest.embedding
    vectors = np.random.default_rng([13]).normal(size=(people, space.dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = enumerate(vectors.astype(np.float32))
    return Gallery(space.space_id, tuple(Person(f"p{i}", f"Person {i}", v, b"") for i, v in rows))


def _median_ms(program: str) -> float:
    times = []
    for _ in range(STARTS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


if __name__ == "__main__":
    main()
