"""`earsight run`: reads the configuration, starts the live path, and looks after it until the end.

::

    load → start ─ loop: signals, watchdog, status ─ stop
             ↑___________ reload ___________|

The main thread only supervises; what it starts is `live.py`, and the sinks have threads of their
own. A reload makes everything anew, so that no part has to know that its settings may change; what
cannot be made leaves the old configuration in force.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from . import __version__
from .audio.microphone import AudioState
from .audio.speech import Detector, silero
from .board import explain_throttled, read_throttled
from .bundle import Bundle
from .config import DeviceConfig, capture_file
from .errors import EarsightError, HardwareError, StorageError
from .events import Kind, Stamper
from .live import Capture, Source, WaitingRoom, Worker, report_dropped
from .pipeline import Ear
from .runtime import find_backend
from .service import CaptureMark, Liveness, Notifier, Signals
from .sinks.fanout import Fanout
from .votes import Votes

TICK_S = 0.25  # how soon the end of a file is noticed; signals come at once
BOARD_S = 30.0  # between two looks at the board
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


@dataclass(frozen=True, slots=True)
class Makers:
    """Where the daemon gets its parts from."""

    load: Callable[[], DeviceConfig]
    bundle: Callable[[DeviceConfig], Bundle]
    ear: Callable[[DeviceConfig, Bundle], Ear]
    source: Callable[[DeviceConfig], Source]
    sinks: Callable[[DeviceConfig], Fanout]
    detect: Callable[[], Detector] = silero


class Daemon:
    """The live path and its supervisor. `run` belongs to the main thread, for its signals."""

    def __init__(self, makers: Makers, notifier: Notifier, patient: bool = False) -> None:
        """Set up; nothing is opened yet.

        Args:
            makers: make the parts, now and at each reload.
            notifier: the service manager.
            patient: let the source wait for the worker instead of dropping utterances.
        """
        self._makers = makers
        self._notifier = notifier
        self._patient = patient
        self._stamper = Stamper()
        self._muted = False
        self._throttled: int | None = 0
        self._board_s = 0.0

    def run(self) -> None:
        """Run until a signal, or until the source ends.

        Raises:
            EarsightError: what the configuration asks for cannot be had.
        """
        with self._notifier.patience():
            parts = self._make()  # a signal ends this at once: nothing is lost yet
        with Signals() as signals:
            live = self._start(parts)
            self._say("started", live)
            self._notifier.ready()
            while not live.has_ended():
                command = signals.wait(TICK_S)
                if command == "stop":
                    break
                if command == "reload":
                    live = self._reload(live)
                elif command == "mute":
                    self._muted = not self._muted
                    live.source.mute(self._muted)
                self._look_after(live)
            self._notifier.stopping()
            fault = live.stop(lambda: self._say("stopping", live))
        if fault is not None:
            raise fault

    def _make(self) -> Parts:
        config = self._makers.load()
        bundle = self._makers.bundle(config)
        return Parts(config, bundle, self._makers.ear(config, bundle), self._makers.detect())

    def _start(self, parts: Parts) -> _Live:
        source = self._makers.source(parts.config)
        source.mute(self._muted)
        return _Live(parts, source, self._makers.sinks(parts.config), self._stamper, self._patient)

    def _reload(self, live: _Live) -> _Live:
        self._notifier.reloading()
        try:
            with self._notifier.patience():
                parts = self._make()
        except EarsightError as exc:
            return self._keep(live, exc)
        live.stop(lambda: self._say("reloading", live))
        try:
            new = self._start(parts)
        except EarsightError as exc:
            return self._keep(self._start(live.parts), exc)
        self._say("reloaded", new)
        self._notifier.ready()
        return new

    def _keep(self, live: _Live, exc: EarsightError) -> _Live:
        _log.error("not reloaded, the old configuration stays: %s", exc)
        live.report("system", {"what": "reload_failed", "reason": str(exc)})
        self._notifier.ready()
        return live

    def _look_after(self, live: _Live) -> None:
        """Feed the watchdog while the live path gets on; show how it is."""
        if live.liveness.is_alive():
            self._notifier.watchdog()
        self._notifier.status(live.status())
        now = time.monotonic()
        if now - self._board_s > BOARD_S:
            self._board_s = now
            bits = read_throttled()
            if bits != self._throttled and bits is not None:
                live.report("system", {"what": "throttled", "bits": explain_throttled(bits)})
            self._throttled = bits

    def _say(self, what: str, live: _Live) -> None:
        manifest, backend = live.parts.bundle.manifest, find_backend()
        data = {
            "what": what,
            "version": __version__,
            "bundle": manifest.name,
            "space_id": manifest.embedding.space_id,
            "people": len(live.parts.ear.gallery.people),
            "runtime": f"{backend.name} {backend.version}",
        }
        live.report("system", data)
        _log.info("%s; bundle %s, %d people", what, manifest.name, data["people"])


class _Live:
    """Everything that runs for one configuration."""

    def __init__(
        self, parts: Parts, source: Source, fanout: Fanout, stamper: Stamper, patient: bool
    ) -> None:
        config = parts.config
        self.parts, self.source = parts, source
        self.liveness = Liveness(config.service.stall_s)
        self._fanout, self._stamper = fanout, stamper
        self._reporting = threading.Lock()
        self._mark = CaptureMark(capture_file(config.privacy))
        self._state = AudioState("waiting", "starting", config.audio.device, 0, 0, 0)
        self._room = WaitingRoom(config.service.waiting, patient)
        self._capture = Capture(
            source, config.speech, parts.detect, self._room, self.report, self.liveness, self._show
        )
        self._worker = Worker(
            parts.ear, Votes(config.decision), self._room, self.report, self.liveness
        )
        self._capture.start()
        self._worker.start()

    def report(self, kind: Kind, data: Mapping[str, Any], portrait: bytes | None = None) -> None:
        """Stamp an event and hand it to the sinks, which get events in their order."""
        with self._reporting:
            self._fanout.write(self._stamper.event(kind, data, portrait))

    def has_ended(self) -> bool:
        """Tell whether the source has ended and everything in it was looked at."""
        return not self._capture.is_alive() and not self._worker.is_alive()

    def status(self) -> str:
        """Return one line for the service manager; it names nobody."""
        state = self._state
        what = state.state.replace("_", " ").upper() if state.state != "listening" else "listening"
        text = f"{what} ({state.reason or state.device}); {self._worker.heard} heard"
        failing = [sink.name for sink in self._fanout.status() if sink.error]
        return text + (f"; failing: {', '.join(failing)}" if failing else "")

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
        for left in self._room.clear():
            report_dropped(self.report, left.utterance, "stopping")
        self._mark.remove()
        last_words()
        self._fanout.close(max(0.5, began + STOP_S - time.monotonic()))
        fault = self._capture.fault
        if fault is None or isinstance(fault, EarsightError):
            return fault
        return HardwareError(f"listening ended: {fault}; this is a fault of earsight, report it")

    def _show(self, state: AudioState) -> None:
        """Follow the microphone: mark, log and event."""
        self._state = state
        level = logging.INFO if state.state in ("listening", "muted") else logging.WARNING
        _log.log(level, "%s %s", state.state, state.reason or state.device)
        try:
            self._mark.show(state.state)
        except StorageError as exc:
            _log.warning("%s", exc)
        self.report("audio", asdict(state))
