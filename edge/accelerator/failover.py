"""Accelerator → CPU → accelerator, without losing an utterance.

A model that may run on the accelerator is open on the CPU as well. While there is no session the
CPU computes; when a session fails, the run it failed at is made on the CPU, and a thread of its own
tries to open the next session. Nobody who speaks waits for that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..manifest import ModelInfo
from ..runtime import Runnable
from .delegate import AcceleratorSettings, Delegate
from .diagnosis import Failure, diagnose
from .hardware import ROOT, find_corals
from .session import AcceleratorError, Session
from .wire import Array

if TYPE_CHECKING:
    from ..bundle import Bundle

LONGEST_RETRY_S = 120.0


@dataclass(frozen=True, slots=True)
class AcceleratorState:
    """What computes from now on, and why."""

    state: Literal["ready", "lost", "unavailable"]  # lost: it was ready before
    backend: str  # what computes: the delegate's name or "cpu"
    reason: str  # one line: what is wrong and what to do, or which library on which device
    cold_ms: Mapping[str, float] = field(default_factory=dict)  # first run of each model
    warm_ms: Mapping[str, float] = field(default_factory=dict)  # best of the runs after it


class Accelerator:
    """Keeps a session open for the models opened with it, as far as the hardware allows."""

    def __init__(
        self, delegate: Delegate, settings: AcceleratorSettings, root: Path = ROOT
    ) -> None:
        """Open nothing yet; `root` is / but for tests."""
        self.delegate = delegate
        self.models: dict[str, tuple[Path, ModelInfo]] = {}  # name → file, manifest entry
        self._settings, self._root = settings, root
        self._opened: Session | None = None  # the last one; `close` ends it at any stage
        self._session: Session | None = None  # the one that models use
        self._fault = ""  # why the last one ended
        self._closing = False
        self._changed = threading.Condition()  # of `_session` and `_closing`
        self._keeper: threading.Thread | None = None

    def open(self, bundle: Bundle, model: str, threads: int = 1) -> Runnable:
        """Open one model of a bundle: for the accelerator if it has a file for it, and for the CPU.

        Raises:
            BundleError, RuntimeUnavailable: as `Bundle.open`, for the CPU's file.
        """
        cpu = bundle.open(model, threads)
        info = bundle.manifest.models[model]
        file = info.files.get(self.delegate.target)
        if file is None:
            return cpu
        self.models[model] = (bundle.path / file.file, info)
        return AcceleratedModel(model, cpu, self)

    @property
    def backend(self) -> str:
        """What computes now: the delegate's name or "cpu"."""
        return "cpu" if self._session is None else self.delegate.name

    def start(self, show: Callable[[AcceleratorState], None]) -> None:
        """Keep a session open from now on, if any model has a file for it.

        Args:
            show: is told of every change, from a thread of the accelerator's own.
        """
        if self.models and self._keeper is None:
            self._closing = False
            self._keeper = threading.Thread(
                target=self._keep, args=(show,), name="accelerator", daemon=True
            )
            self._keeper.start()

    def open_session(self) -> Session:
        """Return an open session, which the caller closes.

        Raises:
            AcceleratorError: it cannot be used; the verdict says why.
        """
        asked = self._settings.use != "auto" or not self.delegate.is_edgetpu
        if not asked and not find_corals(self._root):  # a look, instead of a process to find out
            raise AcceleratorError(diagnose(Failure("devices"), self.delegate, "", self._root))
        session = self._opened = Session(self.delegate, self._root)
        if self._closing:  # `close` may have come before there was a session to end
            session.close()
        session.open(self.models, self._settings.open_timeout_s)
        return session

    def run(self, model: str, inputs: Mapping[str, Array]) -> dict[str, Array] | None:
        """Run a model on the accelerator; None where the CPU has to."""
        session = self._session
        if session is None:
            return None
        try:
            return session.run(model, inputs, self._settings.timeout_s)[0]
        except AcceleratorError as fault:
            with self._changed:
                self._fault, self._session = str(fault), None
                self._changed.notify_all()
            return None

    def close(self) -> None:
        """Give the device back; `start` may follow."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._opened is not None:
            self._opened.close()
        if self._keeper is not None:
            self._keeper.join()
            self._keeper = None

    def _keep(self, show: Callable[[AcceleratorState], None]) -> None:
        """Open a session, wait until it is lost, and again; ever more patiently."""
        retry_s, told = self._settings.retry_s, ""
        while not self._closing:
            try:
                session = self.open_session()
            except AcceleratorError as fault:
                if str(fault) != told and not self._closing:
                    show(AcceleratorState("unavailable", "cpu", str(fault)))
                told = str(fault)
            else:
                told = ""
                if self._serve(session, show) > retry_s:
                    retry_s = self._settings.retry_s
            with self._changed:
                self._changed.wait_for(lambda: self._closing, retry_s)
            retry_s = min(2.0 * retry_s, LONGEST_RETRY_S)

    def _serve(self, session: Session, show: Callable[[AcceleratorState], None]) -> float:
        """Let the models use a session until it fails; return how long it lasted, seconds."""
        began = time.monotonic()
        reason = "; ".join(
            [self.delegate.library, session.version, *session.devices, session.runtime]
        )
        show(
            AcceleratorState("ready", self.delegate.name, reason, session.cold_ms, session.warm_ms)
        )
        self._session = session
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._session is None)
            self._session = None
        session.close()
        if not self._closing:
            show(AcceleratorState("lost", "cpu", self._fault))
        return time.monotonic() - began


class AcceleratedModel:
    """One model that runs on the accelerator while there is one, and on the CPU otherwise."""

    def __init__(self, name: str, cpu: Runnable, accelerator: Accelerator) -> None:
        self.inputs, self.outputs = cpu.inputs, cpu.outputs
        self._name, self._cpu, self._accelerator = name, cpu, accelerator

    def run(self, **inputs: Array) -> dict[str, Array]:
        """Run once, as `edge.runtime.Model.run`."""
        outputs = self._accelerator.run(self._name, inputs)
        return self._cpu.run(**inputs) if outputs is None else outputs
