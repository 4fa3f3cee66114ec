"""The stream resampler: no seams, no aliases, no drift."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.audio.resample import StreamResampler

RATES = [44_100, 48_000, 32_000, 8_000]
NOISE = np.random.default_rng([7, 1]).standard_normal(20_000).astype(np.float32) * 0.1


def stream(rate: int, samples: np.ndarray, portions: list[int]) -> np.ndarray:
    """Resample in portions of the given sizes, repeated as often as needed."""
    resampler, pieces, position, turn = StreamResampler(rate), [], 0, 0
    while position < len(samples):
        size = portions[turn % len(portions)]
        pieces.append(resampler.feed(samples[position : position + size]))
        position, turn = position + size, turn + 1
    return np.concatenate([*pieces, resampler.flush()])


@pytest.mark.parametrize("rate", RATES)
@settings(max_examples=15, deadline=None)
@given(
    length=st.integers(1_000, len(NOISE)),
    portions=st.lists(st.integers(1, 5_000), min_size=1, max_size=5).filter(lambda p: sum(p) > 50),
)
def test_a_stream_equals_the_whole_and_counts_exactly(
    rate: int, length: int, portions: list[int]
) -> None:
    streamed = stream(rate, NOISE[:length], portions)
    batch = soxr.resample(NOISE[:length], rate, 16_000)
    assert abs(len(streamed) - length * 16_000 / rate) <= 1
    shared = min(len(streamed), len(batch))
    np.testing.assert_allclose(streamed[:shared], batch[:shared], atol=1e-6)


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("hertz", [8_100, 9_000, 12_000, 15_900, 20_000])
def test_what_lies_above_8_khz_is_60_db_down(rate: int, hertz: int) -> None:
    tone = np.sin(2 * np.pi * hertz * np.arange(2 * rate) / rate).astype(np.float32)
    heard = stream(rate, tone, [1_024])[1_000:-1_000]  # less the ends, which are steps
    assert 10 * np.log10(np.square(heard).mean() / 0.5) < -60


@pytest.mark.parametrize("hertz", [50, 1_000, 7_000])
def test_speech_passes_unchanged(hertz: int) -> None:
    tone = np.sin(2 * np.pi * hertz * np.arange(96_000) / 48_000).astype(np.float32)
    heard = stream(48_000, tone, [3_072])
    wanted = np.sin(2 * np.pi * hertz * np.arange(len(heard)) / 16_000)
    np.testing.assert_allclose(heard[1_000:-1_000], wanted[1_000:-1_000], atol=1e-3)


def test_the_same_rate_is_left_alone() -> None:
    resampler = StreamResampler(16_000)
    assert resampler.feed(NOISE) is NOISE
    assert len(resampler.flush()) == 0


def test_after_a_flush_nothing_of_before_is_heard() -> None:
    resampler = StreamResampler(48_000)
    resampler.feed(np.ones(4_800, np.float32))
    resampler.flush()
    silence = np.concatenate([resampler.feed(np.zeros(9_600, np.float32)), resampler.flush()])
    assert len(silence) == 3_200
    assert not silence.any()
