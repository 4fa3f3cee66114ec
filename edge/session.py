"""One session of the daemon: what runs for one configuration, from its start to its end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .accelerator.failover import AcceleratorState
from .audio.microphone import AudioState
from .audio.speech import Detector
from .board import explain_throttled
from .bundle import Bundle
from .config import DeviceConfig, capture_file
from .errors import EarsightError, HardwareError, StorageError
from .events import Embedded, Kind, Stamper
from .live import Capture, Source, Worker, report_dropped
from .pipeline import Ear
from .runtime import find_backend
from .service import CaptureMark, Liveness
from .sinks.fanout import Fanout
from .vitals import Vitals
from .votes import Votes
from .waiting import WaitingRoom

STARTING = "starting"
STOP_S = 4.5  # from the signal to the end, sinks included
CAPTURE_STOP_S, WORKER_STOP_S = 1.0, 3.0  # of which capture and worker may take until then

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What is made from a configuration and takes long; the rest starts at once."""

    config: DeviceConfig
    bundle: Bundle
    ear: Ear
    detect: Detector
    rehearse: Callable[[Ear], None] | None = None


class Session:
    """Capture, worker and sinks of one configuration; running as soon as it is made."""

    def __init__(
        self, parts: Parts, source: Source, fanout: Fanout, stamper: Stamper, patient: bool
    ) -> None:
        config = parts.config
        self.parts, self.source = parts, source
        self.liveness = Liveness(config.service.stall_s)
        self._fanout, self._stamper = fanout, stamper
        self._reporting = threading.Lock()
        self._mark = CaptureMark(capture_file(config.privacy))
        self._state = AudioState("waiting", STARTING, config.audio.device, 0, 0, 0)
        self._room = WaitingRoom(config.service.waiting, patient)
        self._capture = Capture(
            source, config.speech, parts.detect, self._room, self.report, self.liveness, self._show
        )
        keep_sound = config.privacy.keep_audio and config.journal.enabled
        if keep_sound:
            _log.warning("the sound of every utterance is kept (privacy.keep_audio)")
        self._worker = Worker(
            parts.ear,
            Votes(config.decision),
            self._room,
            self.report,
            self.liveness,
            keep_sound,
            parts.rehearse,
        )
        self._accelerator = parts.ear.accelerator
        if self._accelerator is not None:
            self._accelerator.start(self._show_accelerator)
        self._capture.start()
        self._worker.start()

    def report(
        self,
        kind: Kind,
        data: Mapping[str, Any],
        portrait: bytes | None = None,
        voice: Embedded | None = None,
        sound: bytes | None = None,
    ) -> None:
        """Stamp an event and hand it to the sinks, which get events in their order."""
        with self._reporting:
            self._fanout.write(self._stamper.event(kind, data, portrait, voice, sound))

    def has_ended(self) -> bool:
        """Tell whether the source has ended and everything in it was looked at."""
        return not self._capture.is_alive() and not self._worker.is_alive()

    def status(self, throttled: int | None) -> str:
        """Return one line for the service manager; it names nobody.

        Args:
            throttled: the firmware's bits, None where there is no such firmware.
        """
        state = self._state
        text = f"{_in_words(state)} ({state.reason or state.device}); {self._worker.heard} heard"
        if self._accelerator is not None and self._accelerator.models:
            text += f" on {self._accelerator.backend}"
        if throttled:
            text += f"; {', '.join(explain_throttled(throttled))}"
        failing = [sink.name for sink in self._fanout.status() if sink.error]
        return text + (f"; failing: {', '.join(failing)}" if failing else "")

    def vitals(self, muted: bool, throttled: int | None) -> Vitals:
        """Return how everything is; any thread may ask."""
        accelerator = self._accelerator
        return Vitals(
            audio=self._state,
            level_dbfs=self.source.level_dbfs,
            muted=muted,
            speaking=self._capture.speaking,
            alive=self.liveness.is_alive(),
            heard=self._worker.heard,
            waiting=len(self._room),
            sinks=self._fanout.status(),
            throttled=throttled,
            runs_on=accelerator.backend if accelerator is not None else "cpu",
            backend=find_backend(),
            bundle=self.parts.bundle,
            gallery=self.parts.ear.gallery,
        )

    def stop(self, last_words: Callable[[], None]) -> EarsightError | None:
        """End the utterance being spoken, look at what waits, flush the sinks; within 5 s.

        Args:
            last_words: called before the sinks close.

        Returns:
            Why capture had ended by itself, None when it had not.
        """
        began = time.monotonic()
        self.source.close()
        self._capture.join(CAPTURE_STOP_S)
        self._room.close()
        self._worker.join(max(0.0, began + WORKER_STOP_S - time.monotonic()))
        if self._accelerator is not None:
            self._accelerator.close()
        for left in self._room.clear():
            report_dropped(self.report, left.utterance, "stopping")
        self._mark.remove()
        last_words()
        self._fanout.close(max(0.5, began + STOP_S - time.monotonic()))
        fault = self._capture.fault
        if fault is None or isinstance(fault, EarsightError):
            return fault
        return HardwareError(f"listening ended: {fault}; this is a fault of earsight, report it")

    def lost(self) -> StorageError | None:
        """Return what sinks have given up so far, None when they took every event."""
        lost = {sink.name: sink.dropped + sink.waiting for sink in self._fanout.status()}
        said = ", ".join(f"{name} {count}" for name, count in lost.items() if count)
        return StorageError(f"events were lost: {said}; see the warnings above") if said else None

    def _show(self, state: AudioState) -> None:
        """Follow the microphone: mark, log and event."""
        expected = state.state in ("listening", "muted") or self._state.reason == STARTING
        self._state = state
        priority = logging.INFO if expected else logging.WARNING
        _log.log(priority, "%s: %s", _in_words(state), state.reason or state.device)
        try:
            self._mark.show(state.state)
        except StorageError as exc:
            _log.warning("%s", exc)
        level = round(self.source.level_dbfs, 1)
        self.report("audio", {**asdict(state), "level_dbfs": level})

    def _show_accelerator(self, state: AcceleratorState) -> None:
        """Follow the accelerator: log and event."""
        level = logging.INFO if state.state == "ready" else logging.WARNING
        _log.log(level, "accelerator %s: %s", state.state, state.reason)
        self.report("system", {"what": "accelerator", **asdict(state)})


def _in_words(state: AudioState) -> str:
    """Return "listening", and anything else in capitals: "NO AUDIO"."""
    return state.state if state.state == "listening" else state.state.replace("_", " ").upper()
