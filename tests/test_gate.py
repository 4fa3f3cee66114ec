"""The level gate: rests in steady noise, opens with its lead, loses and reorders nothing."""

from __future__ import annotations

import numpy as np
import pytest

from edge.audio.gate import HOLD_S, LEAD_S, RATE, WINDOW_S, LevelGate

CHUNK = 512
PER_S = RATE / CHUNK
SETTLED = round(2 * WINDOW_S * PER_S) + round(HOLD_S * PER_S)  # chunks


def noise(seconds: float, level: float, slope: float = 0.5, seed: int = 0) -> np.ndarray:
    """Return noise whose amplitude falls with frequency to minus `slope`."""
    n = round(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng([61, seed]).normal(size=n))
    sound = np.fft.irfft(spectrum * np.maximum(np.fft.rfftfreq(n, 1 / RATE), 40) ** -slope, n)
    return (sound * level / sound.std()).astype(np.float32)


def chunks(sound: np.ndarray) -> np.ndarray:
    return sound[: len(sound) // CHUNK * CHUNK].reshape(-1, CHUNK)


def judged(sound: np.ndarray) -> np.ndarray:
    """Return for each chunk whether it is to be judged; check that none is lost or moved."""
    gate = LevelGate(CHUNK)
    decided = [pair for chunk in chunks(sound) for pair in gate.feed(chunk)]
    decided += gate.flush()
    np.testing.assert_array_equal(np.stack([chunk for chunk, _ in decided]), chunks(sound))
    return np.array([judge for _, judge in decided])


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("level", [1e-1, 1e-3, 1e-5, 0.0])
def test_it_rests_in_any_steady_noise(slope: float, level: float) -> None:
    open_ = judged(noise(40, level, slope))
    assert open_[: round(WINDOW_S * PER_S)].all()  # nothing is known yet
    assert open_[SETTLED:].mean() < 0.05


def test_it_opens_with_its_lead_and_closes_after_the_hold() -> None:
    sound = noise(30, 1e-3)
    sound[20 * RATE : 21 * RATE] += noise(1, 1e-2, seed=1)
    open_ = np.flatnonzero(judged(sound)[SETTLED:]) + SETTLED
    assert open_[0] == pytest.approx((20 - LEAD_S) * PER_S, abs=2)
    assert open_[-1] == pytest.approx((21 + HOLD_S) * PER_S, abs=20)
    assert (np.diff(open_) == 1).all()


def test_a_tone_far_below_the_noise_as_a_whole_opens() -> None:
    rumble = noise(30, 0.1, slope=1.0)
    time_s = np.arange(RATE) / RATE
    rumble[20 * RATE : 21 * RATE] += 0.04 * np.sin(2 * np.pi * 1000 * time_s, dtype=np.float32)
    assert judged(rumble)[round(20.1 * PER_S) : round(21 * PER_S)].all()


def test_it_follows_a_noise_that_begins_and_stays() -> None:
    sound = np.concatenate([noise(12, 1e-3), noise(28, 1e-1, seed=1)])
    open_ = judged(sound)
    assert open_[round(12 * PER_S) : round(14 * PER_S)].all()
    assert open_[round(24 * PER_S) :].mean() < 0.05


def test_it_stays_open_while_told_to() -> None:
    gate = LevelGate(CHUNK)
    for chunk in chunks(noise(20, 1e-3)):
        gate.keep_open()
        assert [judge for _, judge in gate.feed(chunk)] == [True]
