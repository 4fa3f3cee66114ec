"""From a sound card's integers to mono sound: channel, DC, stuck values."""

from __future__ import annotations

import numpy as np
import pytest

from edge.audio.conditioning import Conditioner, check_channel
from edge.errors import ConfigError

RATE = 48_000
FULL = 2.0**31
NOISE = np.random.default_rng([7, 2]).standard_normal(4 * RATE) * 0.01


def as_int32(*channels: np.ndarray) -> np.ndarray:
    return np.rint(np.stack(channels, axis=1) * FULL).astype(np.int32)


def condition(frames: np.ndarray, channel: str = "auto", full: float = FULL) -> np.ndarray:
    conditioner = Conditioner(RATE, frames.shape[1], full, channel)
    return np.concatenate([conditioner.feed(part) for part in np.array_split(frames, 60)])


def test_sixteen_bits_are_scaled_exactly() -> None:
    frames = np.array([[-32768], [32767], [0], [1]] * 500, np.int16)
    mono = Conditioner(RATE, 1, 32768.0).feed(frames)
    assert mono.dtype == np.float32
    np.testing.assert_allclose(mono, frames[:, 0] / 32768, atol=3e-5)  # the mean is subtracted


@pytest.mark.parametrize("dead", ["digital zero", "its own noise", "stuck"])
def test_the_live_channel_of_a_pair_is_heard_at_its_own_level(dead: str) -> None:
    other = {
        "digital zero": np.zeros_like(NOISE),
        "its own noise": NOISE[::-1] * 1e-3,
        "stuck": np.full_like(NOISE, 0.3),
    }[dead]
    for pair in [(NOISE, other), (other, NOISE)]:
        heard = condition(as_int32(*pair))[RATE:]
        np.testing.assert_allclose(heard, NOISE[RATE:], atol=1e-3)


def test_two_live_channels_are_averaged() -> None:
    other = np.roll(NOISE, 20_000)
    heard = condition(as_int32(NOISE, other))
    np.testing.assert_allclose(heard[RATE:], ((NOISE + other) / 2)[RATE:], atol=1e-3)


def test_channels_in_opposite_phase_do_not_cancel() -> None:
    heard = condition(as_int32(NOISE, -NOISE * 0.99))
    np.testing.assert_allclose(heard[RATE:], NOISE[RATE:], atol=1e-3)


def test_a_channel_asked_for_is_given_even_if_it_is_dead() -> None:
    frames = as_int32(NOISE, np.zeros_like(NOISE))
    assert not condition(frames, "1").any()
    np.testing.assert_allclose(condition(frames, "0"), NOISE, atol=1e-3)
    np.testing.assert_allclose(condition(frames, "mix"), NOISE / 2, atol=1e-3)


def test_a_change_of_channel_does_not_click() -> None:
    tone = 0.1 * np.sin(2 * np.pi * 200 * np.arange(2 * RATE) / RATE)
    late = np.where(np.arange(2 * RATE) < RATE, 0, tone)
    heard = condition(as_int32(tone, late))  # the second channel comes alive: the mean of two
    assert np.abs(np.diff(heard)).max() < 1.5 * np.abs(np.diff(tone)).max()


def test_dc_of_a_mems_microphone_is_gone_from_the_start() -> None:
    heard = condition(as_int32(NOISE + 0.25))
    assert abs(heard[:RATE].mean()) < 1e-3
    assert np.abs(heard - NOISE).max() < 2e-3


def test_a_drift_is_followed_and_a_low_voice_is_kept() -> None:
    seconds = np.arange(8 * RATE) / RATE
    voice = 0.1 * np.sin(2 * np.pi * 60 * seconds)
    heard = condition(as_int32(voice + 0.02 * seconds))[2 * RATE :]
    # with a time constant of 2 s, an offset rising by 0.02 a second is followed 0.04 late
    assert abs(heard.mean()) < 0.05
    assert abs((heard - heard.mean()).std() / voice.std() - 1) < 0.01


def test_stuck_counts_frames_without_any_change() -> None:
    conditioner = Conditioner(RATE, 2, FULL)
    still = np.full((1_000, 2), 7, np.int32)
    conditioner.feed(still)
    conditioner.feed(still)
    assert conditioner.stuck == 2_000
    assert "constant values" in conditioner.stuck_reason
    moving = np.zeros((1_000, 2), np.int32)
    moving[499, 0] = 1
    conditioner.feed(moving)
    assert conditioner.stuck == 500
    assert "constant zeros" in conditioner.stuck_reason
    conditioner.feed(np.zeros((10, 2), np.int32))
    assert conditioner.stuck == 510


def test_only_the_chosen_channel_counts_as_stuck() -> None:
    frames = as_int32(NOISE[:4_800], np.zeros(4_800))
    for channel, stuck in [("0", 1), ("1", 4_800), ("auto", 1)]:
        conditioner = Conditioner(RATE, 2, FULL, channel)
        conditioner.feed(frames)
        assert conditioner.stuck == stuck


def test_level_is_rms_below_full_scale() -> None:
    conditioner = Conditioner(RATE, 1, FULL)
    tone = 0.1 * np.sin(2 * np.pi * 1_000 * np.arange(4_800) / RATE)
    conditioner.feed(as_int32(tone))
    assert conditioner.level_dbfs == pytest.approx(-23.01, abs=0.01)
    conditioner = Conditioner(RATE, 1, FULL)
    conditioner.feed(np.zeros((4_800, 1), np.int32))
    assert conditioner.level_dbfs == -120


@pytest.mark.parametrize("channel", ["", "left", "-1", "1.5", "100"])
def test_channels_that_do_not_exist_are_refused(channel: str) -> None:
    with pytest.raises(ConfigError, match="auto, mix or a number"):
        check_channel(channel)
