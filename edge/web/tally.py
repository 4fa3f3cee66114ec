"""Counts what happened since the daemon started, for `/metrics`."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..events import Event

STAGES = ("frontend", "encode", "match", "decode")  # keys of an event's timings_ms


@dataclass(frozen=True, slots=True)
class Totals:
    """What a tally has counted."""

    events: Mapping[str, int]  # by kind
    speech_s: float  # length of the utterances that were looked at
    lost_s: float  # of sound
    latency_s: float  # from the end of an utterance to its event, summed
    stage_s: Mapping[str, float]  # time spent in each stage, summed


@dataclass(slots=True)
class Tally:
    """Adds events up. Any thread may call it."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _events: Counter[str] = field(default_factory=Counter)
    _sums: Counter[str] = field(default_factory=Counter)

    def add(self, event: Event) -> None:
        """Count one event."""
        with self._lock:
            self._events[event.kind] += 1
            for name, amount in _amounts(event.kind, event.data):
                self._sums[name] += amount  # type: ignore[assignment]

    def totals(self) -> Totals:
        """Return the sums so far."""
        with self._lock:
            sums: Mapping[str, float] = self._sums
            return Totals(
                dict(self._events),
                sums["speech"],
                sums["lost"],
                sums["latency"],
                {stage: sums[stage] for stage in STAGES},
            )


def _amounts(kind: str, data: Mapping[str, Any]) -> list[tuple[str, float]]:
    if kind == "gap":
        return [("lost", data["lost_s"])]
    if kind != "heard":
        return []
    times = [(stage, data["timings_ms"][stage] / 1e3) for stage in STAGES]
    return [
        ("speech", data["end_s"] - data["start_s"]),
        ("latency", data["latency_ms"] / 1e3),
        *times,
    ]
