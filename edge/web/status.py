"""The daemon's state as the page shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ..board import explain_throttled, read_temperature
from ..events import clock_synced
from ..vitals import Vitals

BOARD_S = 10.0  # between two looks at what changes slowly


class Board:
    """What the board says of itself, asked for no more often than it changes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until_s = 0.0
        self._temperature: float | None = None
        self._synced = False

    def as_json(self, throttled: int | None) -> dict[str, Any]:
        """Return the public JSON form, with the firmware's throttling bits in words."""
        now = self._clock()
        if now >= self._until_s:
            self._until_s = now + BOARD_S
            self._temperature, self._synced = read_temperature(), clock_synced()
        return {
            "temperature_c": None if self._temperature is None else round(self._temperature),
            "throttled": None if throttled is None else explain_throttled(throttled),
            "clock_synced": self._synced,
        }


def describe(vitals: Vitals | None, board: Board) -> dict[str, Any]:
    """Return the public JSON form of the state; {"started": false} before there is one."""
    if vitals is None:
        return {"started": False}
    manifest = vitals.bundle.manifest
    return {
        "started": True,
        "audio": asdict(vitals.audio),
        "muted": vitals.muted,
        "speaking": vitals.speaking,
        "alive": vitals.alive,
        "heard": vitals.heard,
        "waiting": vitals.waiting,
        "runs_on": vitals.runs_on,
        "runtime": f"{vitals.backend.name} {vitals.backend.version}",
        "bundle": f"{manifest.name} {manifest.version}",
        "people": len(vitals.gallery.people),
        "failing": {sink.name: sink.error for sink in vitals.sinks if sink.error},
        "board": board.as_json(vitals.throttled),
    }
