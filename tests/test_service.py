"""systemd's side of the daemon: notifications, liveness, signals, the capture file, log levels."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge import service
from edge.errors import StorageError
from edge.service import CaptureMark, Liveness, Notifier, Signals, log_to_stderr
from tests.notify_socket import NotifySocket, notify_socket


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NotifySocket]:
    abstract = f"@earsight-test-{os.getpid()}"
    with notify_socket(str(tmp_path / "n") if request.param == "path" else abstract) as found:
        yield found


def test_every_state_reaches_the_manager(manager: NotifySocket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "40000000"})
    assert notifier.watchdog_s == 40
    notifier.ready()
    notifier.status("a\nb")
    notifier.status("a\nb")
    notifier.watchdog()
    notifier.watchdog()
    notifier.reloading()
    with notifier.patience():
        pass
    notifier.stopping()
    found = manager.during(0.2)
    first, second = found.pop(3).split("\n")
    assert first == "RELOADING=1"
    assert abs(int(second.removeprefix("MONOTONIC_USEC=")) / 1e6 - time.monotonic()) < 60
    assert found == [
        "READY=1",
        "STATUS=a b",
        "WATCHDOG=1",
        "EXTEND_TIMEOUT_USEC=20000000",
        "STOPPING=1",
    ]


def test_patience_is_asked_for_again(
    manager: NotifySocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "EXTENSION_S", 0.1)
    with Notifier({"NOTIFY_SOCKET": manager.address}).patience():
        assert [manager.next() for _ in range(3)] == ["EXTEND_TIMEOUT_USEC=100000"] * 3


def test_a_start_that_hangs_is_left_to_the_manager(
    manager: NotifySocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "EXTENSION_S", 0.1)
    monkeypatch.setattr(service, "LONGEST_START_S", 0.5)
    with Notifier({"NOTIFY_SOCKET": manager.address}).patience():
        assert manager.during(1.0)
        assert manager.during(0.5) == []


def test_without_a_manager_nothing_happens(tmp_path: Path) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}):
        notifier = Notifier(environment)
        notifier.ready()
        notifier.watchdog()
        assert notifier.watchdog_s is None


def test_a_watchdog_of_another_process_is_not_ours() -> None:
    ours = {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}
    assert Notifier(ours).watchdog_s == 1
    assert Notifier({**ours, "WATCHDOG_PID": "1"}).watchdog_s is None


class Clock:
    """A clock that goes only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_sound_is_owed_while_listening(clock: Clock) -> None:
    liveness = Liveness(10, clock)
    clock.now += 100
    assert liveness.is_alive()  # nothing was promised yet
    liveness.sound()
    clock.now += 9
    assert liveness.is_alive()
    clock.now += 2
    assert not liveness.is_alive()
    liveness.sound()
    assert liveness.is_alive()
    liveness.no_sound()
    clock.now += 1000
    assert liveness.is_alive()  # absent or muted: a restart would not help


def test_an_inference_is_owed_while_an_utterance_waits(clock: Clock) -> None:
    liveness = Liveness(10, clock)
    liveness.owe()
    liveness.owe()
    clock.now += 9
    liveness.looked()
    clock.now += 9
    assert liveness.is_alive()  # the second waits since the first was done
    liveness.dropped()
    liveness.owe()
    clock.now += 2
    assert not liveness.is_alive()  # dropping is no progress
    liveness.looked()
    assert liveness.is_alive()
    clock.now += 1000
    assert liveness.is_alive()


def test_one_failure_is_the_utterances_and_a_streak_is_ours(clock: Clock) -> None:
    liveness = Liveness(10, clock)
    for _ in range(2):
        liveness.owe()
        liveness.failed()
    clock.now += 100
    assert liveness.is_alive()
    liveness.owe()
    liveness.failed()
    clock.now += 11
    assert not liveness.is_alive()
    liveness.owe()
    liveness.looked()
    assert liveness.is_alive()


def test_signals_become_commands_and_are_given_back() -> None:
    before = {number: signal.getsignal(number) for number in service.COMMANDS}
    with Signals() as signals:
        assert signals.wait(0.01) is None
        for number, command in service.COMMANDS.items():
            os.kill(os.getpid(), number)
            assert signals.wait(5) == command
    assert {number: signal.getsignal(number) for number in service.COMMANDS} == before


def test_the_capture_file_follows_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    mark = CaptureMark(path)
    for state in ("waiting", "listening", "muted"):
        mark.show(state)
        assert path.read_text() == f"{state}\n"
    assert [p.name for p in tmp_path.iterdir()] == ["capture"]
    mark.remove()
    mark.remove()
    assert not path.exists()
    with pytest.raises(StorageError, match=r"privacy\.capture_file"):
        CaptureMark(tmp_path / "none/capture").show("muted")
    CaptureMark(None).show("muted")


def test_log_lines_carry_a_priority_for_journald_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        monkeypatch.setenv("JOURNAL_STREAM", "8:1")
        log_to_stderr("info")
        logging.getLogger("x").warning("two\nlines")
        logging.getLogger("x").debug("unseen")
        monkeypatch.delenv("JOURNAL_STREAM")
        log_to_stderr("info")
        logging.getLogger("x").error("late")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert capsys.readouterr().err == "<4>two lines\nearsight: error: late\n"
