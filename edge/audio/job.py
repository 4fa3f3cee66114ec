"""Runs a call that may block for ever in a thread that nobody has to wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Job(Generic[T]):
    """One call, started at once; a daemon thread, so that it cannot keep the process alive."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._result: T
        self._error: BaseException | None = None
        self._done = threading.Event()
        threading.Thread(target=self._run, name="audio-job", daemon=True).start()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the call to end; tell whether it has."""
        return self._done.wait(timeout_s)

    def result(self) -> T:
        """Return what an ended call returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as exc:
            self._error = exc
        finally:
            self._done.set()
