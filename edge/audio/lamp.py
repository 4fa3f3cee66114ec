"""The lamp that burns exactly as long as a microphone's stream is open.

The stream itself lights it before it opens and puts it out when it is closed: no other part can
forget to, or be mistaken. What cannot be shown is not listened to.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from pathlib import Path

from ..errors import HardwareError

LEDS = Path("/sys/class/leds")

_changing = threading.Lock()
_open: Counter[str] = Counter()  # streams by lamp: one that hangs in closing outlives a reload


def lamp_file(name: str, leds: Path = LEDS) -> Path | None:
    """Return the file that lights a lamp, None for no lamp."""
    if not name:
        return None
    return Path(name) if "/" in name else leds / name / "brightness"


class Lamp:
    """One LED of the kernel, or a plain file that holds 1 or 0 in its place."""

    def __init__(self, name: str, leds: Path = LEDS) -> None:
        """Put the lamp out: a daemon that was killed leaves it burning.

        Args:
            name: of an LED, of a file when it has a slash, or empty for no lamp.
            leds: the kernel's folder of LEDs.
        """
        self._name = name
        self._led = leds / name if name and "/" not in name else None
        self._file = lamp_file(name, leds)
        with _changing:
            if not _open[name]:
                self._put_out()

    def opening(self) -> None:
        """Light it: a stream is about to open.

        Raises:
            HardwareError: it cannot be lit.
        """
        with _changing:
            try:
                self._light()
            except OSError as exc:
                raise HardwareError(
                    f"the lamp {self._name} cannot be lit ({exc.strerror}), so nothing is listened "
                    "to; check privacy.lamp"
                ) from exc
            _open[self._name] += 1

    def closed(self) -> None:
        """Put it out when no other stream is open."""
        with _changing:
            _open[self._name] -= 1
            if not _open[self._name]:
                self._put_out()

    def _light(self) -> None:
        if self._led is None:
            self._write("1")
            return
        with contextlib.suppress(FileNotFoundError):  # an LED without triggers
            (self._led / "trigger").write_text("none", encoding="ascii")
        self._write((self._led / "max_brightness").read_text(encoding="ascii").strip())

    def _put_out(self) -> None:
        with contextlib.suppress(OSError):
            self._write("0")

    def _write(self, value: str) -> None:
        if self._file is not None:
            self._file.write_text(f"{value}\n", encoding="ascii")
