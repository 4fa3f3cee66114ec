"""A sink whose disk is not ready at start: opened as soon as it can be; hearing does not wait."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import StorageError

if TYPE_CHECKING:
    from ..events import Event
    from . import Sink

_log = logging.getLogger(__name__)


class OpeningSink:
    """Stands for a sink; opens it at once if that works, else at each write until it does."""

    def __init__(self, name: str, make: Callable[[], Sink]) -> None:
        """Try to open.

        Raises:
            EarsightError: waiting will not help, as with a wrong setting.
        """
        self.name = name
        self._make = make
        self._sink: Sink | None = None
        try:
            self._sink = make()
        except StorageError as exc:
            _log.error("%s: %s; going on without it until that changes", name, exc)

    def write(self, event: Event) -> None:
        """Write to the sink.

        Raises:
            StorageError: it still cannot be opened, or written.
        """
        if self._sink is None:
            self._sink = self._make()
        self._sink.write(event)

    def close(self) -> None:
        """Close the sink, if it was ever opened."""
        if self._sink is not None:
            self._sink.close()
