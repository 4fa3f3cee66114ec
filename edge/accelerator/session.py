"""A worker process and the models open in it, until either is closed or fails."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from ..errors import HardwareError
from ..manifest import ModelInfo
from .delegate import Delegate
from .diagnosis import Failure, Step, Verdict, diagnose
from .hardware import ROOT
from .wire import Array, Link

PACKAGE_HOME = Path(__file__).parents[2]  # where the worker finds this very earsight
START_S = 120.0  # that Python and the interpreter get, from a slow card in a busy board
END_S = 2.0  # that a worker gets to give the device back
KEPT_LINES = 5  # of what the library writes on stderr


class AcceleratorError(HardwareError):
    """An accelerator that cannot be used, or no longer; its session is over."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.text)
        self.verdict = verdict


class Session:
    """Models open on an accelerator. One thread may use it; `close` may come from any.

    Whoever makes one closes it; a fault has closed it already.
    """

    def __init__(self, delegate: Delegate, root: Path = ROOT) -> None:
        """Start a worker that will load the delegate; `root` is / but for tests."""
        self.runtime = ""  # interpreter and version
        self.version = ""  # what libedgetpu says of itself
        self.devices: list[str] = []
        self.cold_ms: dict[str, float] = {}  # first run of each model, parameters included
        self.warm_ms: dict[str, float] = {}  # best of the runs after it
        self._delegate, self._root = delegate, root
        self._step: Step = "start"
        self._said: deque[str] = deque(maxlen=KEPT_LINES)
        mine, its = socket.socketpair()
        with its:
            self._process = _start_worker(its.fileno())
        self._link = Link(mine.detach())
        self._listener = threading.Thread(target=self._listen, name="accelerator", daemon=True)
        self._listener.start()

    def open(self, models: Mapping[str, tuple[Path, ModelInfo]], timeout_s: float) -> None:
        """Load the library, open every model and run it.

        Args:
            models: the file of each model and its entry in the manifest.
            timeout_s: the longest all that may take, with firmware to load, once Python runs.

        Raises:
            AcceleratorError: it cannot be used; the verdict says why.
        """
        task = {
            "library": self._delegate.library,
            "options": dict(self._delegate.options),
            "edgetpu": self._delegate.is_edgetpu,
            "models": {
                name: {"file": str(path), "info": asdict(info)}
                for name, (path, info) in models.items()
            },
        }
        self._send(task)
        deadline, ready = time.monotonic() + START_S, False
        while not ready:
            header, _ = self._receive(max(0.0, deadline - time.monotonic()))
            if "runtime" in header:
                deadline = time.monotonic() + timeout_s
            self._step = header.get("step", self._step)
            self.runtime = header.get("runtime", self.runtime)
            self.version = header.get("version", self.version)
            self.devices = header.get("devices", self.devices)
            ready = "ready" in header
        self.cold_ms, self.warm_ms = header["cold_ms"], header["warm_ms"]

    def run(
        self, model: str, inputs: Mapping[str, Array], timeout_s: float
    ) -> tuple[dict[str, Array], float]:
        """Run a model once; return its outputs and the milliseconds it took on the accelerator.

        Raises:
            AcceleratorError: it failed, crashed or gave no answer in `timeout_s`.
        """
        self._step = "run"
        self._send({"model": model}, inputs)
        header, outputs = self._receive(timeout_s)
        return outputs, float(header["ms"])

    def close(self) -> None:
        """End the worker, which gives the device back; kill it when it does not."""
        self._link.shut()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel: leave it
            self._process.wait(END_S)
        self._listener.join(END_S)

    def _send(self, header: Mapping[str, Any], arrays: Mapping[str, Array] | None = None) -> None:
        try:
            self._link.send(header, arrays)
        except OSError:
            self._give_up()

    def _receive(self, timeout_s: float) -> tuple[dict[str, Any], dict[str, Array]]:
        try:
            header, arrays = self._link.receive(timeout_s)
        except TimeoutError:
            self._give_up(hung=True)
        except EOFError:
            self._give_up()
        if "failed" in header:
            self._give_up(str(header["failed"]))
        return header, arrays

    def _give_up(self, message: str = "", hung: bool = False) -> NoReturn:
        """End the worker and raise why."""
        if hung:
            self._process.kill()
        self.close()
        code = self._process.returncode or 0
        died = -code if code < 0 and not hung and not message else 0
        said = message or (self._said[-1] if self._said else "")
        failure = Failure(self._step, said, died, hung)
        raise AcceleratorError(diagnose(failure, self._delegate, self.runtime, self._root))

    def _listen(self) -> None:
        """Keep the last lines of the worker's stderr; what nobody reads would block it."""
        stream = self._process.stderr
        if stream is not None:
            with stream:
                self._said.extend(line.strip() for line in stream if line.strip())


def _start_worker(descriptor: int) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(PACKAGE_HOME), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", f"{__package__}.worker", str(descriptor)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        pass_fds=(descriptor,),
        start_new_session=True,  # Ctrl-C is for the daemon, which ends its worker itself
        env={**os.environ, "PYTHONPATH": path},
    )
