"""A stand-in for systemd: the socket that a daemon notifies, and what came through it."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

READY_S = 60.0  # a busy machine takes its time to import everything


class NotifySocket:
    """Receives notifications at an address, which as in `NOTIFY_SOCKET` may be abstract (`@`)."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address[0] == "@" else address)

    def next(self, timeout_s: float = READY_S) -> str:
        """Return the next message; raise TimeoutError when none comes."""
        self._socket.settimeout(timeout_s)
        return self._socket.recv(4096).decode()

    def during(self, seconds: float) -> list[str]:
        """Return what arrives within a time."""
        found, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                found.append(self.next(left))
        return found

    def until_ready(self) -> list[str]:
        """Return what arrives until READY."""
        found: list[str] = []
        while "READY=1" not in found:
            found.append(self.next())
        return found

    def close(self) -> None:
        """Listen no longer."""
        self._socket.close()


@contextmanager
def notify_socket(address: str) -> Iterator[NotifySocket]:
    """Listen at an address."""
    listening = NotifySocket(address)
    try:
        yield listening
    finally:
        listening.close()
