"""Measure what embedding a corpus costs, at the size of VoxCeleb and VGGFace, and under kills.

Run: python -m tests.measure_scale [--items 200] [--kills 6] [--report docs/scale.md]

The command is run as a process and it and its processes are watched. Voices are ALSA's phrases in
recordings of 8.4 s (an utterance of VoxCeleb1 has 8.2 s on average), photos show rendered faces on
480 x 360 pixels. The list of items, the reading and the lookups are measured at their full number,
with made-up vectors. For the kills a Dask scheduler and two workers run here; one worker after
another is ended with SIGKILL while it embeds, and replaced.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distribution, version
from pathlib import Path

import numpy as np
import psutil
import soundfile
import soxr
from packaging.requirements import Requirement

from convert.corpus.embed import embed_items
from convert.corpus.folder import settle, write_shard
from convert.corpus.index import write_index
from convert.corpus.reading import read_corpus
from convert.corpus.shard import Shard
from convert.datasets.folders import folder_items
from convert.datasets.item import Item
from edge.bundle import load_bundle
from tests.dask_cluster import children_of, dask_cluster
from tests.faces import detecting_bundle
from tests.spoken_people import PHRASES, phrases_heard, write_people

ROOT = Path(__file__).resolve().parents[1]
PAGE = Path(__file__).parent / "scale_page.md"
VOICES, FACES = 150_000, 1_200_000  # of VoxCeleb1 and VGGFace that the papers use
PHRASES_EACH = 6  # 8.4 s
SHARD = 50
KILL_SHARD = 10
LONG_H = 4
LOOKUPS = 20_000
MB = 1e6


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of the command took."""

    items: int
    wall_s: float
    processor_s: float  # of all its processes
    command_mb: float  # resident memory at most, of the command
    process_mb: float  # and of a process that embeds
    together_mb: float  # of all at one time


def run_command(bundle: Path, data: Path, out: Path, workers: int, shard: int) -> Cost:
    """Run `earsight-convert embed` to its end."""
    program = [sys.executable, "-m", "convert", "embed", str(bundle), str(data), "--out", str(out)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    run = subprocess.Popen(
        [*program, "--workers", str(workers), "--shard", str(shard)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    own, single, together = 0.0, 0.0, 0.0
    watched = psutil.Process(run.pid)
    while run.poll() is None:
        time.sleep(0.05)
        try:
            mine = watched.memory_info().rss / MB
            theirs = [child.memory_info().rss / MB for child in watched.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
        own, single = max(own, mine), max([single, *theirs])
        together = max(together, mine + sum(theirs))
    if run.returncode:
        raise SystemExit(f"embed ended with {run.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    index = read_corpus(out).index
    if index.failed:
        raise SystemExit(f"{index.failed} of {index.items} failed")
    return Cost(index.items, time.monotonic() - start, processor_s, own, single, together)


def measure_local(bundle: Path, base: Path, items: int, workers: int) -> dict[str, Cost]:
    """Return the cost of a quarter of the items and of all, of voices and of photos."""
    costs = {}
    for kind, voices, photos in (("voices", 10, 0), ("photos", 0, 10)):
        for size, count in (("few", items // 4), ("many", items)):
            data = base / f"{kind}-{size}"
            write_people(data, count // 10, voices, photos, PHRASES_EACH)
            costs[f"{kind} {size}"] = run_command(
                bundle, data, base / f"{kind}-{size}-corpus", workers, SHARD
            )
            print(kind, size, costs[f"{kind} {size}"], flush=True)
    return costs


def measure_long(bundle: Path, base: Path) -> Cost:
    """Return the cost of one recording as long as any that is taken."""
    home = base / "long" / "speaker"
    home.mkdir(parents=True)
    speech = soxr.resample(np.concatenate(phrases_heard()) * 0.5, 48_000, 16_000)
    with soundfile.SoundFile(home / "long.flac", "w", 16_000, 1, "PCM_16") as file:
        for _ in range(int(LONG_H * 3600 * 16_000 / len(speech))):
            file.write(speech)
    return run_command(bundle, base / "long", base / "long-corpus", 1, 1)


@dataclass(frozen=True, slots=True)
class FullSize:
    """What the whole number of items takes, without embedding."""

    list_s: float
    list_mb: float  # more resident memory than before
    list_file_mb: float
    corpus_mb: float  # on disk
    check_s: float  # that every shard is whole, when the command is run again
    open_s: float
    open_mb: float
    lookup_us: float  # one at a time, anywhere
    batch_us: float  # of many in any order, each
    stream_s: float


def every_item() -> Iterator[Item]:
    """Yield as many items as both data sets have."""
    for number in range(VOICES):
        name = f"id{10001 + number // 120}/1zcIwhmdeo4/{number:05d}.wav"
        yield Item(name, Path("/data/voxceleb1/wav") / name, "voice", name[:7])
    for number in range(FACES):
        name = f"Person_{number // 1000:04d}/{number:08d}.jpg"
        yield Item(name, Path("/data/vggface") / name, "face", name[:11])


def measure_full_size(bundle: Path, folder: Path) -> FullSize:
    """Write a corpus of made-up vectors at full size, and use it."""
    folder.mkdir()
    before = resident_mb()
    start = time.monotonic()
    plan, listed = settle(folder, load_bundle(bundle), every_item(), None, "device")
    list_s, list_mb = time.monotonic() - start, resident_mb() - before
    rng = np.random.default_rng(1)
    entries = []
    for number in range(plan.shards):
        ids = tuple(item.id for item in listed.read(plan.rows(number)))
        vectors = rng.normal(size=(len(ids), plan.dim)).astype(np.float32)
        entries.append(write_shard(folder, plan, number, Shard(ids, vectors, {}, "none")))
    write_index(folder, plan, entries)
    start = time.monotonic()
    embed_items(bundle, every_item(), folder, progress=False)
    check_s = time.monotonic() - start
    done = subprocess.run(
        [sys.executable, "-m", "tests.measure_scale", "--read", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    read = json.loads(done.stdout)
    return FullSize(
        list_s, list_mb, (folder / "items.jsonl").stat().st_size / MB,
        sum(path.stat().st_size for path in folder.iterdir()) / MB, check_s, **read,
    )  # fmt: skip


def measure_reading(folder: Path) -> dict[str, float]:
    """Return what opening, looking up and streaming take in a process that does nothing else."""
    before = resident_mb()
    start = time.monotonic()
    corpus = read_corpus(folder)
    open_s, open_mb = time.monotonic() - start, resident_mb() - before
    rng = random.Random(2)
    rows = rng.sample(range(VOICES + FACES), LOOKUPS)
    wanted = set(rows)
    ids = [item.id for row, item in enumerate(every_item()) if row in wanted]
    rng.shuffle(ids)
    start = time.monotonic()
    for name in ids[: LOOKUPS // 10]:
        corpus.find(name)
    lookup_us = 1e6 * (time.monotonic() - start) / (LOOKUPS // 10)
    start = time.monotonic()
    found = corpus.vectors(ids)
    batch_us = 1e6 * (time.monotonic() - start) / LOOKUPS
    if np.isnan(found).any():
        raise SystemExit("a vector was not found")
    start = time.monotonic()
    count = sum(len(shard.ids) for shard in corpus.shards())
    if count != VOICES + FACES:
        raise SystemExit(f"{count} items")
    return {
        "open_s": open_s, "open_mb": open_mb, "lookup_us": lookup_us, "batch_us": batch_us,
        "stream_s": time.monotonic() - start,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Killed:
    """What the cluster lived through."""

    items: int
    shards: int
    kills: int  # of workers with a shard in hand
    wall_s: float


def measure_kills(bundle: Path, base: Path, items: int, kills: int) -> Killed:
    """Embed on a cluster whose workers are killed; hold the result to the one made here."""
    data = base / "kills"
    write_people(data, items // 10, 5, 5, PHRASES_EACH)
    run_command(bundle, data, base / "here", 2, KILL_SHARD)
    expected = contents(base / "here")
    over = threading.Event()
    hit = 0
    with dask_cluster(base / "dask") as cluster:

        def kill_workers() -> None:
            nonlocal hit
            rng = random.Random(3)
            while hit < kills and not over.wait(rng.uniform(0.5, 4.0)):
                victim = rng.choice([w for w in cluster.workers if w.poll() is None])
                if not children_of(victim.pid):
                    continue  # it has not begun yet
                victim.kill()
                victim.wait()
                hit += 1
                cluster.start_worker()

        killer = threading.Thread(target=kill_workers)
        start = time.monotonic()
        killer.start()
        try:
            corpus = embed_items(
                bundle, folder_items(data), base / "there",
                scheduler=cluster.address, shard=KILL_SHARD, progress=False,
            )  # fmt: skip
        finally:
            over.set()
            killer.join()
        wall_s = time.monotonic() - start
    names = [name for shard in corpus.shards() for name in shard.ids]
    if names != [item.id for item in folder_items(data)]:
        raise SystemExit("items were lost or are there twice")
    if contents(base / "there") != expected:
        raise SystemExit("other bytes than those made here")
    return Killed(len(names), len(corpus.index.shards), hit, wall_s)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def resident_mb() -> float:
    return psutil.Process().memory_info().rss / MB


def installed_mb(name: str) -> float:
    """Return the size of a package and of everything that it needs."""
    todo, sizes = [name], {}
    while todo:
        package = todo.pop().lower().replace("_", "-")
        if package in sizes:
            continue
        found = distribution(package)
        places = [Path(str(file.locate())) for file in found.files or []]
        sizes[package] = sum(place.stat().st_size for place in places if place.exists())
        needs = [Requirement(text) for text in found.requires or []]
        todo += [need.name for need in needs if need.marker is None or need.marker.evaluate()]
    return sum(sizes.values()) / MB


def page(costs: dict[str, Cost], long: Cost, full: FullSize, killed: Killed, workers: int) -> str:
    """Return the report."""

    def row(name: str, cost: Cost) -> str:
        each_ms = 1000 * cost.processor_s / cost.items
        return (
            f"| {name} | {cost.items} | {each_ms:.0f} ms | {cost.items / cost.wall_s:.1f} | "
            f"{cost.command_mb:.0f} MB | {cost.process_mb:.0f} MB | {cost.together_mb:.0f} MB |"
        )

    voice, photo = costs["voices many"], costs["photos many"]
    core_h = {
        "voice": VOICES * voice.processor_s / voice.items / 3600,
        "face": FACES * photo.processor_s / photo.items / 3600,
    }
    values = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, distributed {version('distributed')}",
        "dask_mb": f"{installed_mb('distributed'):.0f}",
        "load": f"{os.getloadavg()[2]:.1f}",
        "workers": workers,
        "rows": "\n".join(row(name, cost) for name, cost in costs.items()),
        "voice_h": f"{core_h['voice']:.1f}",
        "face_h": f"{core_h['face']:.1f}",
        "long_h": LONG_H,
        "long_s": f"{long.processor_s:.0f}",
        "long_mb": f"{long.process_mb:.0f}",
        "full": f"{VOICES + FACES:,}",
        **{name: f"{getattr(full, name):.0f}" for name in FullSize.__slots__},
        "kills": killed.kills,
        "kill_items": killed.items,
        "kill_shards": killed.shards,
        "kill_s": f"{killed.wall_s:.0f}",
        "sounds": PHRASES,
    }  # fmt: skip
    return PAGE.read_text("utf-8").format_map(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--report", type=Path, help="write the page here")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read:
        print(json.dumps(measure_reading(args.read)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        bundle = detecting_bundle(base).path
        killed = measure_kills(bundle, base, args.items // 2, args.kills)
        print(killed, flush=True)
        costs = measure_local(bundle, base, args.items, args.workers)
        long = measure_long(bundle, base)
        print(long, flush=True)
        full = measure_full_size(bundle, base / "full")
        print(full, flush=True)
    text = page(costs, long, full, killed, args.workers)
    if args.report:
        args.report.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
