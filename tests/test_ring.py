"""The ring: every frame at its index, every loss a jump, whoever is late."""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.audio.ring import Ring


def numbered(first: int, count: int) -> np.ndarray:
    """Return frames whose value is their own index, (count, 1)."""
    return np.arange(first, first + count, dtype=np.int32)[:, None]


def ring_of(frames: int) -> Ring:
    return Ring(1.0, frames, 1, np.int32)


def test_what_is_written_is_read_in_order_with_its_index() -> None:
    ring = ring_of(100)
    ring.write(numbered(0, 30))
    ring.write(numbered(30, 30))
    frames, first = ring.read(50, 0)
    assert (first, frames[:, 0].tolist()) == (0, list(range(50)))
    frames, first = ring.read(50, 0)
    assert (first, frames[:, 0].tolist()) == (50, list(range(50, 60)))
    assert ring.overruns == 0


def test_nothing_new_is_none_after_the_timeout() -> None:
    ring = ring_of(100)
    assert ring.read(10, 0.01) is None
    ring.write(numbered(0, 5))
    assert ring.read(10, 0.01) is not None
    assert ring.read(10, 0.01) is None


def test_a_late_reader_loses_the_oldest_and_it_counts_once() -> None:
    ring = ring_of(100)
    ring.write(numbered(0, 100))
    ring.write(numbered(100, 50))
    frames, first = ring.read(1000, 0)
    assert first >= 50
    np.testing.assert_array_equal(frames, numbered(first, 150 - first))
    assert ring.overruns == 1
    assert ring.written == 150


def test_more_than_the_ring_holds_at_once_keeps_the_end() -> None:
    ring = ring_of(100)
    ring.write(numbered(0, 250))
    frames, first = ring.read(1000, 0)
    np.testing.assert_array_equal(frames, numbered(first, 250 - first))
    assert first >= 150


def test_what_the_driver_lost_is_a_jump_and_a_reading_never_crosses_it() -> None:
    ring = ring_of(100)
    ring.write(numbered(0, 10))
    ring.write(numbered(15, 10), lost=5)
    assert ring.read(1000, 0)[0].shape == (10, 1)
    frames, first = ring.read(1000, 0)
    assert first == 15
    np.testing.assert_array_equal(frames, numbered(15, 10))
    ring.write(numbered(525, 100), lost=500)  # more than the ring holds
    frames, first = ring.read(1000, 0)
    assert (first, len(frames)) == (525, 100)
    assert ring.overruns == 2


def test_channels_stay_apart() -> None:
    ring = Ring(1.0, 10, 2, np.int16)
    stereo = np.array([[1, -1], [2, -2], [3, -3]], np.int16)
    ring.write(stereo)
    frames, _ = ring.read(10, 0)
    np.testing.assert_array_equal(frames, stereo)


steps = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 70), st.sampled_from([0, 0, 0, 1, 7, 90])),
    st.tuples(st.just("read"), st.integers(1, 70), st.just(0)),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(steps, max_size=40))
def test_any_order_of_writing_and_reading(plan: list[tuple[str, int, int]]) -> None:
    ring, written, expected, read = ring_of(40), 0, 0, 0
    lost = set()
    for what, count, missing in plan:
        if what == "write":
            lost |= set(range(written, written + missing))
            written += missing
            ring.write(numbered(written, count), missing)
            written += count
            continue
        taken = ring.read(count, 0)
        if taken is None:
            assert lost.issuperset(range(expected, written))  # nothing held back
            continue
        frames, first = taken
        np.testing.assert_array_equal(frames, numbered(first, len(frames)))
        assert expected <= first
        assert first + len(frames) <= written
        assert len(frames) <= count
        assert lost.isdisjoint(frames[:, 0].tolist())
        if not set(range(expected, first)) <= lost:
            assert ring.overruns > 0
        expected, read = first + len(frames), read + len(frames)
    assert ring.written == written
    if ring.overruns == 0:
        assert read == expected


def test_a_reader_beside_a_fast_writer_never_sees_torn_frames() -> None:
    ring = Ring(1.0, 4_000, 2, np.int64)
    total = 400_000

    def write() -> None:
        for first in range(0, total, 1_000):
            ring.write(np.repeat(np.arange(first, first + 1_000)[:, None], 2, axis=1))

    writer = threading.Thread(target=write)
    writer.start()
    end = 0
    while end < total:
        taken = ring.read(3_000, 1.0)
        assert taken is not None
        frames, first = taken
        assert first >= end
        np.testing.assert_array_equal(frames[:, 0], np.arange(first, first + len(frames)))
        np.testing.assert_array_equal(frames[:, 0], frames[:, 1])
        end = first + len(frames)
    writer.join()
