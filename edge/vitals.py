"""How the daemon is at a moment, for whoever looks at it: the page, `/metrics`, `/healthz`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .audio.microphone import AudioState
from .bundle import Bundle
from .face.gallery import Gallery
from .runtime import Backend
from .service import Command
from .sinks.fanout import SinkStatus


@dataclass(frozen=True, slots=True)
class Vitals:
    """One look at the live path."""

    audio: AudioState
    level_dbfs: float  # RMS of the last block
    muted: bool  # as wished; `audio.state` follows within 0.2 s
    speaking: bool  # an utterance is open
    alive: bool  # sound and inference get on; what feeds the watchdog
    heard: int  # utterances looked at since the configuration was read
    waiting: int  # utterances that wait, with the one being looked at
    sinks: tuple[SinkStatus, ...]
    throttled: int | None  # the firmware's bits, None where there is no such firmware
    runs_on: str  # the accelerator's name, or "cpu"
    backend: Backend  # the interpreter of the CPU
    bundle: Bundle
    gallery: Gallery  # the people who are ranked


class Device(Protocol):
    """What may be asked of a running daemon; any thread may call it."""

    def vitals(self) -> Vitals | None:
        """Return how it is, None before it has started."""

    def ask(self, command: Command) -> None:
        """Let the main thread carry a command out, soon; returns at once."""
