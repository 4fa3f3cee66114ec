"""Whether this device is muted: a wish that outlives restarts and power cuts.

The wish is a file, so that it is also there for a daemon that the watchdog had to kill.
"""

from __future__ import annotations

import logging
from pathlib import Path

from .config import state_folder
from .errors import StorageError
from .storage import write_private

FILE = "muted"

_log = logging.getLogger(__name__)


def mute_file() -> Path:
    """Return the file that is there as long as this device is muted."""
    return state_folder() / FILE


class Mute:
    """The wish, true or false. Belongs to one thread; any may read it."""

    def __init__(self, path: Path | None = None) -> None:
        """Begin as the file says, which exists as long as the device is muted.

        Args:
            path: of the file; None to begin unmuted and keep nothing.
        """
        self._path = path
        self.on = path is not None and path.exists()

    def set(self, on: bool) -> None:
        """Mute, or unmute; a file that cannot be changed is logged, and the wish holds for now."""
        self.on = on
        if self._path is None:
            return
        try:
            if on:
                write_private(self._path, b"")
            else:
                self._path.unlink(missing_ok=True)
        except (StorageError, OSError) as exc:
            _log.warning("muting does not outlast this run: %s", exc)
