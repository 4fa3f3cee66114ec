"""Events as JSON, one line each: on stdout for a program that reads it, and inside other sinks."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from ..errors import StorageError
from ..events import Event


@dataclass(frozen=True, slots=True)
class StdoutSettings:
    """Section [stdout]."""

    enabled: bool = False


class JsonlSink:
    """Writes each event as one line, at once."""

    name = "stdout"

    def __init__(self, stream: TextIO | None = None) -> None:
        """Take the stream to write to, stdout when there is none given; it is not closed."""
        self._stream = stream if stream is not None else sys.stdout

    def write(self, event: Event) -> None:
        """Write one line.

        Raises:
            StorageError: nobody reads the stream any more, or the disk behind it is full.
        """
        try:
            self._stream.write(as_line(event.as_json()) + "\n")
            self._stream.flush()
        except OSError as exc:
            raise StorageError(
                f"the JSON lines cannot be written ({exc.strerror}); check what reads them"
            ) from exc

    def close(self) -> None:
        """Leave the stream open: it belongs to whoever gave it."""


def as_line(body: Mapping[str, Any]) -> str:
    """Return strict JSON in ASCII without a line break, safe for a terminal and any reader.

    Raises:
        ValueError: a number is not finite, which JSON cannot say.
    """
    return json.dumps(body, allow_nan=False, separators=(",", ":"))
