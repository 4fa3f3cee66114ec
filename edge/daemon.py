"""`earsight run`: reads the configuration, starts the live path, and looks after it until the end.

::

    load → start ─ loop: signals, watchdog, status ─ stop
             ↑___________ reload ___________|

The main thread only supervises; what it starts is a session (`session.py`), whose parts have
threads of their own. A reload makes everything anew, so that no part has to know that its settings
may change; what cannot be made leaves the old configuration in force.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import __version__
from .audio.speech import Detector, silero
from .board import explain_throttled, read_throttled
from .bundle import Bundle
from .button import Button
from .config import DeviceConfig, journal_folder
from .errors import EarsightError
from .events import Stamper
from .live import Source
from .mute import Mute
from .pipeline import Ear
from .presence import Presence
from .runtime import find_backend
from .service import Command, Notifier, Signals
from .session import Parts, Session
from .sinks.fanout import Fanout
from .vitals import Vitals

TICK_S = 0.25  # how soon the end of a file is noticed; signals come at once
BOARD_S = 30.0  # between two looks at the board
PEOPLE_S = 60.0  # before people are read again whose consent has ended, when that failed

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Makers:
    """Where the daemon gets its parts from."""

    load: Callable[[], DeviceConfig]
    bundle: Callable[[DeviceConfig], Bundle]
    ear: Callable[[DeviceConfig, Bundle], Ear]
    source: Callable[[DeviceConfig], Source]
    sinks: Callable[[DeviceConfig], Fanout]
    detect: Callable[[], Detector] = silero
    rehearse: Callable[[Ear], None] | None = None  # by the thread that looks, before it does


class Daemon:
    """The live path and its supervisor. `run` belongs to the main thread, for its signals."""

    def __init__(
        self,
        makers: Makers,
        notifier: Notifier,
        patient: bool = False,
        presence: Presence | None = None,
        mute: Mute | None = None,
    ) -> None:
        """Set up; nothing is opened yet.

        Args:
            makers: make the parts, now and at each reload.
            notifier: the service manager.
            patient: let the source wait for the worker instead of dropping utterances.
            presence: lets other commands find this daemon; None to be found by none.
            mute: whether it begins muted, and keeps it; None begins unmuted.
        """
        self._makers = makers
        self._notifier = notifier
        self._patient = patient
        self._presence = presence
        self._stamper = Stamper()
        self._mute = mute or Mute()
        self._throttled: int | None = 0
        self._board_s = 0.0
        self._people_s = -PEOPLE_S
        self._signals = Signals()
        self._live: Session | None = None  # the one that runs, for whoever looks
        self._button: Button | None = None

    def vitals(self) -> Vitals | None:
        """Return how the daemon is, None before it has started; any thread may ask."""
        live = self._live
        return None if live is None else live.vitals(self._mute.on, self._throttled)

    def ask(self, command: Command) -> None:
        """Let the main thread carry a command out, as a signal does; any thread may ask."""
        self._signals.put(command)

    def run(self) -> None:
        """Run until a signal, or until the source ends.

        Raises:
            EarsightError: what the configuration asks for cannot be had; or the source has ended,
                and sinks gave up events of it.
        """
        with self._notifier.patience():
            parts = self._make()  # a signal ends this at once: nothing is lost yet
        with self._signals as signals:
            live = self._start(parts)
            self._say("started", live)
            self._be_ready(live)
            while not live.has_ended():
                command = signals.wait(TICK_S)
                if command == "stop":
                    break
                if command == "reload":
                    live = self._reload(live)
                elif command in ("mute", "mute on", "mute off"):
                    on = command == "mute on" or (command == "mute" and not self._mute.on)
                    live.source.mute(on)
                    self._mute.set(on)
                self._look_after(live)
            ended = live.has_ended()
            self._notifier.stopping()
            self._follow_button("")
            fault = live.stop(lambda: self._say("stopping", live))
            if self._presence is not None:
                self._presence.leave()
        if fault is None and ended:
            fault = live.lost()
        if fault is not None:
            raise fault

    def _make(self) -> Parts:
        config = self._makers.load()
        bundle = self._makers.bundle(config)
        ear = self._makers.ear(config, bundle)
        return Parts(config, bundle, ear, self._makers.detect(), self._makers.rehearse)

    def _start(self, parts: Parts) -> Session:
        source = self._makers.source(parts.config)
        source.mute(self._mute.on)
        sinks = self._makers.sinks(parts.config)
        self._live = Session(parts, source, sinks, self._stamper, self._patient)
        self._follow_button(parts.config.privacy.button)
        return self._live

    def _follow_button(self, device: str) -> None:
        if self._button is not None:
            self._button.close()
        self._button = Button(Path(device), lambda: self.ask("mute")) if device else None

    def _reload(self, live: Session) -> Session:
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
        self._be_ready(new)
        return new

    def _be_ready(self, live: Session) -> None:
        if self._presence is not None:
            self._presence.show(journal_folder(live.parts.config.journal))
        self._notifier.ready()

    def _keep(self, live: Session, exc: EarsightError) -> Session:
        _log.error("not reloaded, the old configuration stays: %s", exc)
        live.report("system", {"what": "reload_failed", "reason": str(exc)})
        self._notifier.ready()
        return live

    def _look_after(self, live: Session) -> None:
        """Feed the watchdog while the live path gets on; show how it is."""
        if live.liveness.is_alive():
            self._notifier.watchdog()
        self._notifier.status(live.status(self._throttled))
        now = time.monotonic()
        ended = live.parts.ear.gallery.valid_until_s <= time.time()  # somebody's consent
        if ended and now - self._people_s > PEOPLE_S:
            self._people_s = now
            self.ask("reload")
        if now - self._board_s > BOARD_S:
            self._board_s = now
            bits = read_throttled()
            if bits != self._throttled and bits is not None:
                live.report("system", {"what": "throttled", "bits": explain_throttled(bits)})
            self._throttled = bits

    def _say(self, what: str, live: Session) -> None:
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
