"""What the live daemon says happened: one value for every sink, ordered and stamped.

Logic runs on monotonic time. Wall time is a label, marked with whether the clock had been set,
because a Pi without a battery boots in the past. `boot_id` and `monotonic_s` order events for
ever; `sequence` shows that none is missing within one run of the daemon.
"""

from __future__ import annotations

import ctypes
import itertools
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .types import Float32

Kind = Literal[
    "heard",  # an utterance was understood: traits, matches, decision, portrait
    "dropped",  # an utterance was given up: the board is too slow, or it could not be read
    "audio",  # capture changed state: listening, no_audio, waiting, muted
    "gap",  # samples were lost between two blocks
    "system",  # started, stopping, reloaded, throttled, backend changed
]


@dataclass(frozen=True, slots=True)
class Stamp:
    """When and where in the order of things."""

    boot_id: str  # of the kernel, or a random one where there is none
    sequence: int  # from 0, one per event of this process
    monotonic_s: float
    wall: str  # ISO 8601, UTC, milliseconds
    clock_synced: bool


@dataclass(frozen=True, slots=True)
class Embedded:
    """A voice in the space that it shares with faces: biometric, for whoever may keep it."""

    space_id: str  # of the bundle
    vector: Float32  # (d,), unit length


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    kind: Kind
    stamp: Stamp
    data: Mapping[str, Any]  # JSON-able; for "heard" as `Sighting.as_json` plus "decision"
    portrait: bytes | None = field(default=None, repr=False)  # PNG
    voice: Embedded | None = field(default=None, repr=False, compare=False)
    sound: bytes | None = field(default=None, repr=False)  # WAV, only when it is to be kept

    def as_json(self) -> dict[str, Any]:
        """Return the flat public form, without picture, voice and sound."""
        return {
            "kind": self.kind,
            "boot_id": self.stamp.boot_id,
            "sequence": self.stamp.sequence,
            "monotonic_s": round(self.stamp.monotonic_s, 3),
            "time": self.stamp.wall,
            "clock_synced": self.stamp.clock_synced,
            **self.data,
        }


class Stamper:
    """Stamps the events of one process."""

    def __init__(self) -> None:
        self._boot_id = _boot_id()
        self._sequence = itertools.count()

    def event(
        self,
        kind: Kind,
        data: Mapping[str, Any],
        portrait: bytes | None = None,
        voice: Embedded | None = None,
        sound: bytes | None = None,
    ) -> Event:
        """Return a stamped event; thread-safe, because drawing from a count is atomic."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        stamp = Stamp(self._boot_id, next(self._sequence), time.monotonic(), now, clock_synced())
        return Event(kind, stamp, data, portrait, voice, sound)


def clock_synced() -> bool:
    """Tell whether the wall clock was set since boot, by whichever program sets it.

    The kernel knows (adjtimex(2) says TIME_ERROR until then); where a sandbox forbids to ask,
    systemd-timesyncd's mark is looked for.
    """
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))  # modes 0: only read
    except (OSError, AttributeError):  # not Linux
        state = -1
    if state == -1:
        return Path("/run/systemd/timesync/synchronized").exists()
    return bool(state != 5)  # TIME_ERROR


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(uuid.uuid4())
