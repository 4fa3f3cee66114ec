"""Makes a mono signal of what a sound card delivers: scale, DC, live channel, stuck values."""

from __future__ import annotations

import math
import re

import numpy as np

from ..errors import ConfigError
from ..types import Float32
from .ring import Frames

DC_S = 2.0  # time constant of the offset; the lowest voice is 50 Hz, far above
HOLD_S = 10.0  # time constant at which a channel's power is forgotten: longer than a sentence
DEAD = 1e-3  # power of a channel against the loudest, -30 dB: nothing is connected to it
CANCELLED = 0.1  # power of the mean against the loudest, -10 dB: one channel is in opposite phase
SILENCE_DBFS = -120.0  # the level of digital zero, so that a level is always a number


def check_channel(channel: str) -> int:
    """Return the channels that a channel setting asks a device for, 0 for no wish.

    Raises:
        ConfigError: it is neither "auto", "mix" nor a number from 0.
    """
    if channel in ("auto", "mix"):
        return 0
    if not re.fullmatch(r"\d{1,2}", channel):
        raise ConfigError(f"channel {channel!r}: write auto, mix or a number from 0")
    return int(channel) + 1


class Conditioner:
    """The state of one stream: feed it frames as the driver gave them, take mono sound out."""

    def __init__(self, rate: int, channels: int, full_scale: float, channel: str = "auto") -> None:
        self.stuck = 0  # frames, the last included, in which the chosen channels are the same
        self.moving = False  # whether the last portion held any change
        self.level_dbfs = SILENCE_DBFS  # RMS of the last portion; a full-scale square wave is 0
        self._rate = rate
        self._scale = np.float32(1 / full_scale)
        self._automatic = channel == "auto" and channels > 1
        self._weights = np.full(channels, 1 / channels, np.float32)
        if wanted := check_channel(channel):
            self._weights = _only(wanted - 1, channels)
        self._offset = np.zeros(channels, np.float32)
        self._settled = 0  # frames that the offset was learnt from
        self._power = np.zeros(channels)  # of each channel, held
        self._mean_power = 0.0  # of the mean of the live channels, held
        self._last: Frames | None = None  # the frame before
        self._at_zero = True

    @property
    def stuck_reason(self) -> str:
        """What to tell the user when `stuck` has grown large."""
        value = "zeros" if self._at_zero else "values"
        return f"constant {value}: the microphone is switched off, disconnected or broken"

    def feed(self, frames: Frames) -> Float32:
        """Take frames (n, channels) of the driver's integers, n > 0; return (n,) in -1..1."""
        self._watch(frames)
        # each channel in a row of its own: sums along a row are several times as fast
        sound = self._without_offset(frames.T.astype(np.float32, order="C") * self._scale)
        before, chosen = self._weights, self._power.any()
        if self._automatic:
            self._choose(sound)
        mono: Float32 = self._weights @ sound
        if chosen and before is not self._weights:  # fade over: no click
            fade = np.linspace(0, 1, len(mono), dtype=np.float32)
            mono = fade * mono + (1 - fade) * (before @ sound)
        power = float(mono @ mono) / len(mono)
        self.level_dbfs = max(SILENCE_DBFS, 10 * math.log10(power)) if power else SILENCE_DBFS
        return mono

    def _watch(self, frames: Frames) -> None:
        """Count how long nothing changes: a microphone's own noise always does."""
        heard = frames[:, self._weights != 0]
        before = heard[0] if self._last is None else self._last[self._weights != 0]
        self._last = frames[-1].copy()
        if len(heard) > 1 and (heard[-1] != heard[-2]).any():
            same = 1  # as nearly always: nothing more to look at
        elif (changes := np.flatnonzero((heard[1:] != heard[:-1]).any(axis=1))).size:
            same = len(heard) - 1 - int(changes[-1])
        else:
            same = len(heard) + (self.stuck if (heard[0] == before).all() else 0)
        self.moving = same < len(heard)
        self.stuck = same
        self._at_zero = not heard[-1].any()

    def _without_offset(self, sound: Float32) -> Float32:
        """Subtract from (channels, n) the slow mean of each, moving along a line within."""
        n = sound.shape[1]
        self._settled += n
        # the plain mean of all so far until there is enough of it, then an exponential one
        share = n / min(self._settled, max(n, DC_S * self._rate))
        offset = self._offset + np.float32(share) * (sound.mean(axis=1) - self._offset)
        start = offset if self._settled == n else self._offset
        ramp = np.arange(n, dtype=np.float32) / np.float32(n)
        self._offset = offset
        level: Float32 = sound - (start[:, None] + (offset - start)[:, None] * ramp)
        return level

    def _choose(self, sound: Float32) -> None:
        """Hear the mean of the live of (channels, n), or the loudest where the mean cancels."""
        forget = math.exp(-sound.shape[1] / (HOLD_S * self._rate))
        self._power = np.maximum(np.square(sound).mean(axis=1), self._power * forget)
        loudest = int(self._power.argmax())
        live = self._power > DEAD * self._power[loudest]
        if not live.any():
            return
        weights = (live / live.sum()).astype(np.float32)
        mean = weights @ sound
        self._mean_power = max(float(mean @ mean) / len(mean), self._mean_power * forget)
        if self._mean_power < CANCELLED * self._power[loudest]:
            weights = _only(loudest, len(live))
        if not np.array_equal(weights, self._weights):
            self._weights = weights


def _only(channel: int, channels: int) -> Float32:
    weights = np.zeros(channels, np.float32)
    weights[channel] = 1
    return weights
