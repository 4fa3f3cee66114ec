"""Stage 4: results to the world.

::

    directory.py, sheet.py, terminal.py    of one recording
    fanout.py                              of the live path: each sink in its own thread
      journal.py, jsonl.py, mqtt.py          the sinks it feeds with events
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..events import Event


class Sink(Protocol):
    """Takes the events of the live path; belongs to one thread of the fan-out."""

    name: str  # as the log and the metrics call it

    def write(self, event: Event) -> None:
        """Take one event.

        Raises:
            OSError: not now (disk full, nobody reads): the same event is offered again later.
            Exception: not ever: the event is given up.
        """

    def close(self) -> None:
        """Finish what was taken and let go of files and sockets, within 3 s."""
