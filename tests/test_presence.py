"""How `earsight forget` finds a running daemon and lets it start anew."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from edge import presence
from edge.errors import EarsightError
from edge.presence import FILE, Presence, restart_daemon


def daemon(folder: Path, told: Connection, obeys: bool) -> None:
    """Be a daemon: start, start anew at each SIGHUP if it obeys, end when the pipe closes."""
    here = Presence()
    signal.signal(signal.SIGHUP, lambda *_: here.show(folder) if obeys else None)
    here.show(folder)
    told.send("started")
    told.poll(60)


@contextmanager
def running(folder: Path, obeys: bool = True) -> Iterator[multiprocessing.process.BaseProcess]:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=daemon, args=(folder, theirs, obeys), daemon=True)
    process.start()
    assert ours.poll(30)
    try:
        yield process
    finally:
        process.kill()
        process.join()


def test_a_daemon_that_runs_starts_anew(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    assert not restart_daemon(folder)
    with running(folder):
        assert restart_daemon(folder)
        assert restart_daemon(folder)
        assert (folder / FILE).read_text().split()[1] == "3"
        assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    assert not restart_daemon(folder)  # killed: the file is there, and says nothing


def test_a_daemon_that_does_not_start_anew_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "PATIENCE_S", 0.2)
    with (
        running(tmp_path, obeys=False),
        pytest.raises(EarsightError, match="does not start anew"),
    ):
        restart_daemon(tmp_path)


def test_a_daemon_of_another_user_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with running(tmp_path):
        monkeypatch.setattr(os, "kill", refuse)
        with pytest.raises(EarsightError, match="another user's"):
            restart_daemon(tmp_path)
        monkeypatch.undo()


def test_a_daemon_that_ends_meanwhile_is_none(tmp_path: Path) -> None:
    with running(tmp_path, obeys=False) as process:
        threading.Timer(0.2, process.kill).start()
        assert not restart_daemon(tmp_path)


def test_a_second_daemon_leaves_the_first_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path) as first:
        second = Presence()
        second.show(tmp_path)
        assert "another daemon keeps its journal there" in caplog.text
        assert (tmp_path / FILE).read_text() == f"{first.pid} 1\n"
        second.show(tmp_path / "other")  # of another configuration
        assert (tmp_path / "other" / FILE).read_text() == f"{os.getpid()} 2\n"
        second.leave()
