"""Exact search: the same answer as looking at everything, whichever scan is used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.people import flat_index
from edge.people.code_scan import integer_kernels
from edge.people.codes import encode
from edge.people.flat_index import FlatIndex

SCANS = ["codes", "floats"]
Scan = Callable[[str], None]


@pytest.fixture
def scan(monkeypatch: pytest.MonkeyPatch) -> Scan:
    """Return what chooses a scan."""

    def choose(name: str) -> None:
        if name == "floats":
            monkeypatch.setattr(flat_index, "integer_kernels", lambda: None)
        elif integer_kernels() is None:
            pytest.skip("NumKong is not installed, or has no kernel for this processor")

    return choose


def units(count: int, dim: int, seed: int, spread: float = 1.0) -> np.ndarray:
    """Return unit rows; a small `spread` crowds them around one direction."""
    rng = np.random.default_rng([11, seed])
    rows = rng.normal(size=dim) / spread + rng.normal(size=(count, dim))
    rows = rows if spread < 1.0 else rng.normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def everything(vectors: np.ndarray, query: np.ndarray, top: int) -> tuple[Any, Any]:
    scores = np.einsum("ij,j->i", vectors, query)
    order = np.argsort(-scores, kind="stable")[:top]
    return order, np.clip(scores[order], -1, 1)


@pytest.mark.parametrize("name", SCANS)
@pytest.mark.parametrize("spread", [1.0, 0.3, 0.05])
@pytest.mark.parametrize(("count", "dim"), [(257, 16), (5_000, 128), (7_001, 128), (40_000, 24)])
def test_the_best_are_found_exactly(
    scan: Scan, name: str, spread: float, count: int, dim: int
) -> None:
    scan(name)
    vectors = units(count, dim, count, spread)
    index = FlatIndex(vectors)
    for seed, top in enumerate([1, 5, 100]):
        query = units(1, dim, 100 + seed)[0] if seed else vectors[count // 2]
        rows, scores = index.nearest(query, top)
        wanted, expected = everything(vectors, query, top)
        np.testing.assert_array_equal(rows, wanted)
        np.testing.assert_allclose(scores, expected, rtol=0, atol=2e-6)  # rounding of the sums


@pytest.mark.parametrize("name", SCANS)
def test_equal_rows_have_equal_scores_and_keep_their_order(scan: Scan, name: str) -> None:
    scan(name)
    for count in (400, 20_000, 40_000):
        vectors = units(count, 32, 1)
        twins = [3, 180, count // 2, count // 2 + 1, count - 1]
        vectors[twins] = vectors[7]
        rows, scores = FlatIndex(vectors).nearest(vectors[7], 6)
        assert rows.tolist() == [3, 7, *twins[1:]]
        assert len(set(scores.tolist())) == 1


@pytest.mark.parametrize("name", SCANS)
def test_rows_that_are_all_equal(scan: Scan, name: str) -> None:
    scan(name)
    for count in (100, 1_000, 7_000):
        vectors = np.tile(units(1, 16, 2), (count, 1))
        assert FlatIndex(vectors).nearest(units(1, 16, 3)[0], 7)[0].tolist() == list(range(7))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 600), st.integers(1, 700), st.integers(0, 10**6))
def test_any_number_of_rows_and_of_best(count: int, top: int, seed: int) -> None:
    vectors, query = units(count, 8, seed), units(1, 8, seed + 1)[0]
    rows, scores = FlatIndex(vectors).nearest(query, top)
    assert len(rows) == len(scores) == min(count, top)
    np.testing.assert_array_equal(rows, everything(vectors, query, top)[0])


def test_searching_leaves_no_reference_behind(scan: Scan) -> None:
    scan("codes")
    index = FlatIndex(units(7_000, 16, 8))
    query = units(1, 16, 9)[0]
    index.nearest(query, 3)
    before = sys.getrefcount(None)
    for _ in range(200):
        index.nearest(query, 3)
    assert abs(sys.getrefcount(None) - before) < 50


@pytest.mark.parametrize("count", [8_000, 40_000])
def test_a_query_with_values_beyond_those_of_all_rows(scan: Scan, count: int) -> None:
    scan("codes")
    vectors = units(count, 64, 12)
    query = np.eye(64, dtype=np.float32)[5]
    rows, _ = FlatIndex(vectors).nearest(query, 9)
    np.testing.assert_array_equal(rows, everything(vectors, query, 9)[0])


def test_the_guess_from_another_query_changes_nothing() -> None:
    vectors = units(900, 32, 21, spread=0.3)
    index = FlatIndex(vectors)
    towards = vectors.mean(axis=0) / np.linalg.norm(vectors.mean(axis=0))
    for seed in range(60):
        query = (towards, -towards, vectors[seed], units(1, 32, seed)[0])[seed % 4]
        top = (1, 3, 40, 898)[seed // 4 % 4]
        rows, _ = index.nearest(query, top)
        np.testing.assert_array_equal(rows, everything(vectors, query, top)[0])


def test_many_threads_search_at_once() -> None:
    vectors, queries = units(700, 24, 22), units(200, 24, 23)
    index = FlatIndex(vectors)
    tops = [1 + 7 * (i % 5) for i in range(len(queries))]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: index.nearest(queries[i], tops[i])[0], range(200)))
    for query, top, rows in zip(queries, tops, found, strict=True):
        np.testing.assert_array_equal(rows, everything(vectors, query, top)[0])


def test_scores_are_never_beyond_one() -> None:
    for count in (50, 3_000, 8_000):
        vectors = units(count, 256, 13)
        for row in range(0, count, count // 25):
            rows, scores = FlatIndex(vectors).nearest(vectors[row], 1)
            assert rows[0] == row
            assert scores[0] <= 1.0


def test_codes_are_scanned_only_where_the_processor_can_multiply_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numkong = pytest.importorskip("numkong")
    for has, expected in (({"neon": True, "neonsdot": False}, None), ({"neonsdot": True}, numkong)):
        monkeypatch.setattr(numkong, "get_capabilities", lambda has=has: has)
        assert integer_kernels() is expected


def test_codes_lie_within_their_stated_error() -> None:
    vectors = units(500, 64, 4)
    codes = encode(vectors)
    rest = np.linalg.norm(vectors - codes.values * np.float32(codes.step), axis=1)
    assert codes.values.dtype == np.int8
    assert rest.max() <= codes.error < 0.05
    assert encode(np.empty((0, 64), np.float32)).values.shape == (0, 64)


def test_a_memory_map_is_searched_as_it_is(tmp_path: Any) -> None:
    vectors = units(2_000, 16, 5)
    np.save(tmp_path / "rows.npy", vectors)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    query = units(1, 16, 6)[0]
    rows, _ = FlatIndex(mapped).nearest(query, 4)
    np.testing.assert_array_equal(rows, everything(vectors, query, 4)[0])
