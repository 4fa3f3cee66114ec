"""How long the search among many people takes, beside NumPy and FAISS on the same rows.

Run: make bench, or python -m tests.bench_gallery [--rows 1000 10000 100000 1000000]

Every search runs on one thread and finds the ten best of random unit vectors with 128 dimensions,
which is the hardest case: nothing can be skipped. Times are CPU times of that thread, medians; the
three take turns, so that whatever else the machine does meets all of them. "naive" is the scan that
this replaced: NumPy's product and sum over all rows, then a sort. FAISS is its flat index of inner
products (https://github.com/facebookresearch/faiss), exact and float32.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edge.people.flat_index import FlatIndex

DIM, TOP = 128, 10
ROWS = (1_000, 10_000, 100_000, 1_000_000)
NAIVE_ROWS = 100_000  # beyond, its product alone would be another 512 MB
BUDGET_S = 4.0  # for each number of rows
Search = Callable[[np.ndarray], Any]


def rows(counts: tuple[int, ...] = ROWS) -> Iterator[dict[str, float]]:
    """Yield for each number of people that fits milliseconds of each search, ratios, memory."""
    for count in counts:
        if 3 * 4 * DIM * count > _available_bytes():
            continue
        vectors, queries = _units(count, 15), _units(64, 16)
        index = FlatIndex(vectors)
        searches: dict[str, Search] = {"earsight": lambda q: index.nearest(q, TOP)[0]}  # noqa: B023
        if count <= NAIVE_ROWS:
            searches["naive"] = lambda q: _naive(vectors, q)  # noqa: B023
        if (flat := _faiss(vectors)) is not None:
            searches["faiss"] = flat
        found = {name: set(np.ravel(search(queries[0]))) for name, search in searches.items()}
        if any(best != found["earsight"] for best in found.values()):
            raise AssertionError(f"the searches do not agree: {found}")
        times = _take_turns(searches, queries)
        ours = times["earsight"]
        codes = 0 if index.codes is None else index.codes.values.nbytes
        yield {
            "people": count,
            **{f"{name}_ms": value for name, value in times.items()},
            **{f"to_{n}": ours / value for n, value in times.items() if n != "earsight"},
            "float32_mb": vectors.nbytes / 1e6,
            "scanned_mb": (codes or vectors.nbytes) / 1e6,
        }


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
    """Return the median time of each search, milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in searches}
    began = time.perf_counter()
    turn = 0
    while turn < 5 or (time.perf_counter() - began < BUDGET_S and turn < 500):
        for name, search in searches.items():
            start = time.thread_time()
            search(queries[turn % len(queries)])
            times[name].append(1e3 * (time.thread_time() - start))
        turn += 1
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
    print(*lines(list(rows(tuple(parser.parse_args().rows)))), sep="\n")
