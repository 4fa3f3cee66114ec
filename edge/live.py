"""The live path's two threads: capture cuts utterances out of sound, a worker looks at them.

::

    source ─ blocks → SpeechFinder ─ utterances → WaitingRoom → Ear.look → Votes → events

The room between them is bounded: on a board that is too slow the oldest waiting utterance goes,
and an event says so. Sound is never held up.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from .audio.file import RATE, pack_wav
from .audio.microphone import AudioBlock, AudioState
from .audio.speech import Detector, SpeechFinder, SpeechRules
from .events import Embedded, Kind
from .pipeline import Ear
from .png import encode_png
from .service import Liveness
from .types import Float32, Utterance
from .votes import Votes
from .waiting import Waiting, WaitingRoom

BRIDGED_S = 0.25  # a gap up to this long is filled with silence; a longer one ends the utterance

_log = logging.getLogger(__name__)


class Report(Protocol):
    """Tells the sinks what happened; never blocks, any thread may call it."""

    def __call__(
        self,
        kind: Kind,
        data: Mapping[str, Any],
        portrait: bytes | None = None,
        voice: Embedded | None = None,
        sound: bytes | None = None,
    ) -> None:
        """Stamp and hand out one event."""


class Source(Protocol):
    """What a microphone and a file that is played have in common."""

    @property
    def level_dbfs(self) -> float:
        """RMS of the last block, dB below full scale."""

    def blocks(self) -> Iterator[AudioBlock | AudioState]:
        """Yield sound and changes of state until closed, or the sound ends."""

    def mute(self, on: bool) -> None:
        """Stop listening, or go on."""

    def close(self) -> None:
        """End `blocks` soon."""


class Capture(threading.Thread):
    """Follows the source and puts utterances into the room; closes the room when it ends."""

    def __init__(
        self,
        source: Source,
        rules: SpeechRules,
        detect: Detector,
        room: WaitingRoom,
        report: Report,
        liveness: Liveness,
        show: Callable[[AudioState], None],
    ) -> None:
        super().__init__(name="capture", daemon=True)
        self.fault: Exception | None = None  # why it ended before the source did
        self._source, self._rules, self._detect = source, rules, detect
        self._room, self._report, self._liveness, self._show = room, report, liveness, show
        self._device = ""
        self._listening = False  # a stuck microphone still delivers, but nothing that is owed
        self._begun = False  # sound has come since the state changed
        self._finder: SpeechFinder | None = None
        self._origin_s = 0.0  # where the finder's time begins

    @property
    def speaking(self) -> bool:
        """Whether somebody speaks; any thread may ask."""
        finder = self._finder
        return finder is not None and finder.speaking

    def run(self) -> None:
        """Follow the source until it ends."""
        try:
            for item in self._source.blocks():
                if isinstance(item, AudioState):
                    self._take_state(item)
                else:
                    self._take_sound(item)
        except Exception as exc:
            self.fault = exc
            _log.error("capture ended: %r", exc)
        finally:
            self._end_utterance()
            self._room.close()

    def _take_state(self, state: AudioState) -> None:
        self._device = state.device
        self._listening, self._begun = state.state == "listening", False
        if self._listening:
            self._liveness.sound()
        else:
            self._end_utterance()
            self._liveness.no_sound()
        self._show(state)

    def _take_sound(self, block: AudioBlock) -> None:
        if self._listening:
            self._liveness.sound()
        samples = block.samples
        if block.lost and self._begun:
            self._report("gap", {"lost_s": round(block.lost / RATE, 3)})
            if block.lost <= BRIDGED_S * RATE and self._finder is not None:
                samples = np.concatenate([np.zeros(block.lost, np.float32), samples])
            else:
                self._end_utterance()
        self._begun = True
        if self._finder is None:
            self._finder = SpeechFinder(self._device, self._rules, self._detect)
            self._origin_s = block.first / RATE
        for utterance in self._finder.feed(samples):
            self._put(utterance)

    def _end_utterance(self) -> None:
        if self._finder is not None:
            for utterance in self._finder.flush():
                self._put(utterance)
            self._finder = None

    def _put(self, found: Utterance) -> None:
        origin_s = self._origin_s
        utterance = replace(found, start_s=found.start_s + origin_s, end_s=found.end_s + origin_s)
        self._liveness.owe()
        gone = self._room.put(Waiting(utterance, time.monotonic()))
        if gone is not None:
            self._liveness.dropped()
            _log.warning("too slow: the oldest waiting utterance is dropped")
            report_dropped(self._report, gone.utterance, "too slow")


class Worker(threading.Thread):
    """Looks at each utterance and says what it gave; ends when the room is closed and empty.

    Its sound goes with the event only when it is to be kept.
    """

    def __init__(
        self,
        ear: Ear,
        votes: Votes,
        room: WaitingRoom,
        report: Report,
        liveness: Liveness,
        keep_sound: bool = False,
        rehearse: Callable[[Ear], None] | None = None,
    ) -> None:
        super().__init__(name="worker", daemon=True)
        self.heard = 0  # utterances looked at
        self._ear, self._votes, self._keep_sound = ear, votes, keep_sound
        self._rehearse = rehearse
        self._room, self._report, self._liveness = room, report, liveness

    def run(self) -> None:
        """Look at utterances until the room is closed and empty."""
        if self._rehearse is not None:
            try:
                self._rehearse(self._ear)
            except Exception as exc:  # the first utterance will show it
                _log.error("the rehearsal failed: %r", exc)
        while (waiting := self._room.take()) is not None:
            try:
                self._look(waiting)
            except Exception as exc:  # one utterance must not end all hearing
                _log.error("an utterance could not be looked at: %r", exc)
                self._liveness.failed()
                report_dropped(self._report, waiting.utterance, f"failed: {exc}")
            else:
                self._liveness.looked()

    def _look(self, waiting: Waiting) -> None:
        sighting = self._ear.look(waiting.utterance)
        decision = self._votes.decide(
            sighting.voice, sighting.matches, waiting.cut_s, sighting.verdict
        )
        portrait = encode_png(sighting.portrait.pixels) if sighting.portrait else None
        self.heard += 1
        data = {
            **sighting.as_json(None),
            "decision": decision.as_json(),
            "level_dbfs": _level_dbfs(sighting.utterance.samples),
            "latency_ms": round(1e3 * (time.monotonic() - waiting.cut_s), 1),
        }
        voice = Embedded(self._ear.gallery.space_id, sighting.voice.embedding)
        sound = pack_wav(waiting.utterance.samples) if self._keep_sound else None
        self._report("heard", data, portrait, voice, sound)
        length_s = waiting.utterance.end_s - waiting.utterance.start_s
        known = "unknown" if decision.name is None else "named"
        _log.info("heard %.1f s of speech: %s", length_s, known)  # whom is nothing for a log


def report_dropped(report: Report, utterance: Utterance, reason: str) -> None:
    """Say that an utterance was given up."""
    data = {
        "source": utterance.source,
        "start_s": round(utterance.start_s, 3),
        "end_s": round(utterance.end_s, 3),
        "reason": reason,
    }
    report("dropped", data)


def _level_dbfs(samples: Float32) -> float:
    power = float(np.square(samples).mean())
    return round(10 * math.log10(max(power, 1e-12)), 1)
