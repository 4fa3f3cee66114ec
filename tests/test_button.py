"""The mute button, on a pipe that carries what the kernel's event devices give."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge import button
from edge.button import EVENT, KEY, PRESSED, Button

SYNC, MICMUTE = 0, 248  # EV_SYN, KEY_MICMUTE
RELEASED, REPEATED = 0, 2


def event(kind: int, code: int, value: int) -> bytes:
    return EVENT.pack(1_700_000_000, 250_000, kind, code, value)


PRESS = event(KEY, MICMUTE, PRESSED) + event(SYNC, 0, 0)
RELEASE = event(KEY, MICMUTE, RELEASED) + event(SYNC, 0, 0)


class Presses:
    """Counts, and lets a test wait for a count."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def __call__(self) -> None:
        """Count one."""
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def reach(self, count: int) -> bool:
        """Wait for a count; tell whether it came."""
        with self._changed:
            return self._changed.wait_for(lambda: self.count >= count, 20)


@pytest.fixture
def presses() -> Presses:
    return Presses()


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the device will be; it is looked for often."""
    monkeypatch.setattr(button, "ABSENT_S", 0.01)
    return tmp_path / "event7"


@contextmanager
def following(device: Path, presses: Presses) -> Iterator[Button]:
    found = Button(device, presses)
    try:
        yield found
    finally:
        found.close()


def plug_in(device: Path) -> int:
    """Make the device; return what its events are written to, once it is followed."""
    os.mkfifo(device)
    return os.open(device, os.O_WRONLY)


def test_an_event_is_laid_out_as_the_kernels_header_says(tmp_path: Path) -> None:
    compiler = shutil.which("gcc")
    if compiler is None or not Path("/usr/include/linux/input.h").exists():
        pytest.skip("needs gcc and the kernel's headers")
    source = tmp_path / "layout.c"
    source.write_text(
        "#include <stdio.h>\n#include <linux/input.h>\n"
        "int main(void) { struct input_event e = {.type = 1, .code = 248, .value = 1};\n"
        "e.input_event_sec = 1700000000; e.input_event_usec = 250000;\n"
        "return fwrite(&e, sizeof e, 1, stdout) != 1; }\n",
        encoding="ascii",
    )
    subprocess.run([compiler, source, "-o", tmp_path / "layout"], check=True)
    laid_out = subprocess.run([tmp_path / "layout"], check=True, capture_output=True).stdout
    assert laid_out == event(KEY, MICMUTE, PRESSED)


def test_each_press_counts_once_and_nothing_else(device: Path, presses: Presses) -> None:
    with following(device, presses):
        kernel = plug_in(device)
        held = event(KEY, MICMUTE, REPEATED) * 5
        os.write(kernel, PRESS + held + RELEASE)
        assert presses.reach(1)
        os.write(kernel, PRESS + RELEASE + PRESS + RELEASE)
        assert presses.reach(3)
        os.close(kernel)
    assert presses.count == 3


def test_a_button_pulled_out_is_waited_for(device: Path, presses: Presses) -> None:
    with following(device, presses):
        for count in (1, 2):
            kernel = plug_in(device)
            os.write(kernel, PRESS)
            assert presses.reach(count)
            os.close(kernel)
            device.unlink()


def test_a_closed_button_calls_nobody(device: Path, presses: Presses) -> None:
    with following(device, presses) as found:
        kernel = plug_in(device)
        found.close()
        os.write(kernel, PRESS)
        followers = [t for t in threading.enumerate() if t.name == "button"]
        for thread in followers:
            thread.join(10)
        assert not any(thread.is_alive() for thread in followers)
        os.close(kernel)
    assert presses.count == 0


def test_what_may_not_be_read_is_said_once(
    tmp_path: Path,
    presses: Presses,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(button, "ABSENT_S", 0.001)
    looked = threading.Semaphore(0)

    def refuse(*_: object) -> int:
        looked.release()
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with following(tmp_path / "event7", presses):
        for _ in range(3):
            assert looked.acquire(timeout=10)
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == [
        f"button {tmp_path}/event7: Permission denied; waiting for it"
    ]
