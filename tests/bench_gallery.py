"""How long the search among many people takes, beside NumPy and FAISS on the same rows.

Run: make bench, or python -m tests.bench_gallery [--rows 1000 10000 100000 1000000]

Every search runs on one thread and finds the ten best of random unit vectors with 128 dimensions,
which is the hardest case: nothing can be skipped. The search is a gallery's own; from as many
people on as there it is mapped from files. Times are CPU times of the thread: the searches take
turns of eight of 64 queries, again and again, so that whatever else the machine does meets all of
them; what is printed is the median of the turns, for one query.
"naive" is the scan that this replaced: NumPy's product and sum over all rows, then a sort. FAISS is
its flat index of inner products (https://github.com/facebookresearch/faiss), exact and float32.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edge.face.gallery import Rows
from edge.people.flat_index import FlatIndex
from edge.people.index_files import Labels, Snapshot, Stamp, load_snapshot, save_snapshot
from edge.people.snapshot import MAPPED

DIM, TOP = 128, 10
ROWS = (1_000, 10_000, 100_000, 1_000_000)
NAIVE_ROWS = 100_000  # beyond, its product alone would be another 512 MB
QUERIES, AT_ONCE = 64, 8
TURNS = (8, 2400)  # at least and at most
BUDGET_S = 8.0  # for each number of rows, beyond the least
Search = Callable[[np.ndarray], Any]


def rows(counts: tuple[int, ...] = ROWS) -> Iterator[dict[str, float]]:
    """Yield for each number of people that fits milliseconds of each search, ratios, memory."""
    for count in counts:
        if 3 * 4 * DIM * count > _available_bytes():
            continue
        vectors, queries = _units(count, 15), _units(QUERIES, 16)
        with _gallery_index(vectors) as index:
            yield {"people": count, **_compare(index, vectors, queries)}


def _compare(index: FlatIndex, vectors: np.ndarray, queries: np.ndarray) -> dict[str, float]:
    """Return milliseconds of each search of the same rows, ratios, memory.

    Raises:
        AssertionError: they do not find the same rows.
    """
    searches: dict[str, Search] = {"earsight": lambda query: index.nearest(query, TOP)[0]}
    if len(vectors) <= NAIVE_ROWS:
        searches["naive"] = lambda query: _naive(vectors, query)
    if (flat := _faiss(vectors)) is not None:
        searches["faiss"] = flat
    for query in queries[:8]:
        found = {name: set(np.ravel(search(query))) for name, search in searches.items()}
        if any(best != found["earsight"] for best in found.values()):
            raise AssertionError(f"the searches do not agree: {found}")
    times = _take_turns(searches, queries)
    ours = times["earsight"]
    return {
        **{f"{name}_ms": value for name, value in times.items()},
        **{f"to_{name}": ours / value for name, value in times.items() if name != "earsight"},
        "float32_mb": vectors.nbytes / 1e6,
        "scanned_mb": (vectors.nbytes if index.codes is None else index.codes.values.nbytes) / 1e6,
    }


@contextmanager
def _gallery_index(vectors: np.ndarray) -> Iterator[FlatIndex]:
    """Give the index that a gallery of so many people has: a large one's is mapped from files."""
    if len(vectors) < MAPPED:
        yield FlatIndex(vectors)
        return
    stamp = Stamp("bench", 0, "bench", DIM)
    with tempfile.TemporaryDirectory() as folder:
        rows = (Rows("photo", FlatIndex(vectors), np.arange(len(vectors))),)
        nobody = Labels(np.empty(0, np.uint8), np.zeros(2 * len(vectors), np.int64))
        save_snapshot(Path(folder) / "index", stamp, Snapshot(nobody, rows, float("inf")))
        snapshot = load_snapshot(Path(folder) / "index", stamp, 0.0)
        assert snapshot is not None
        index = snapshot.rows[0].index
        assert isinstance(index, FlatIndex)
        yield index


def lines(found: list[dict[str, float]]) -> Iterator[str]:
    """Yield a table of what `rows` found."""
    titles = ("earsight", "naive", "FAISS flat")
    yield f"{'people':>10} {' '.join(f'{t:>12}' for t in titles)} {'to FAISS':>9} {'MB':>7}"
    for row in found:
        cells = [
            f"{row[key]:9.3f} ms" if key in row else f"{'-':>12}"
            for key in ("earsight_ms", "naive_ms", "faiss_ms")
        ]
        ratio = f"{row['to_faiss']:9.2f}" if "to_faiss" in row else f"{'-':>9}"
        yield f"{row['people']:10.0f} {' '.join(cells)} {ratio} {row['scanned_mb']:7.1f}"


def _available_bytes() -> float:
    """Return what can be allocated without swapping; much, where nobody says."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return float("inf")
    return 1024.0 * int(re.search(r"MemAvailable: +(\d+)", text)[1])


def _take_turns(searches: dict[str, Search], queries: np.ndarray) -> dict[str, float]:
    """Return the time of each search for one query, milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in searches}
    order, mixed = list(searches), random.Random(17)
    began = time.perf_counter()
    least, most = TURNS
    for turn in range(most):
        if turn >= least and time.perf_counter() - began > BUDGET_S:
            break
        first = turn * AT_ONCE % len(queries)
        asked = queries[first : first + AT_ONCE]
        mixed.shuffle(order)  # nobody always follows the same one, whose data fill the cache
        for name in order:
            search = searches[name]
            start = time.thread_time()
            for query in asked:
                search(query)
            times[name].append(1e3 * (time.thread_time() - start) / AT_ONCE)
    return {name: statistics.median(values) for name, values in times.items()}


def _units(count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng([seed]).standard_normal((count, DIM), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _naive(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    scores = np.clip((vectors * query).sum(axis=1), -1.0, 1.0)
    return np.argsort(-scores, kind="stable")[:TOP]


def _faiss(vectors: np.ndarray) -> Search | None:
    try:
        import faiss
    except ImportError:
        return None
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(DIM)
    index.add(vectors)
    return lambda query: index.search(query[None], TOP)[1][0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    args = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":  # NumPy reads it when it is loaded
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "tests.bench_gallery", *sys.argv[1:]]
        raise SystemExit(subprocess.call(command, env=environment))
    print(*lines(list(rows(tuple(args.rows)))), sep="\n")
