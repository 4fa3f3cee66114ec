"""What a session and its worker say to each other: a JSON object and arrays in one message."""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Link:
    """One end of a stream socket between two processes of the same earsight."""

    def __init__(self, descriptor: int) -> None:
        """Take over a file descriptor; it is closed when the link is forgotten."""
        self._connection: Connection[bytes, bytes] = Connection(descriptor)

    def send(self, header: Mapping[str, Any], arrays: Mapping[str, Array] | None = None) -> None:
        """Send one message.

        Raises:
            OSError: the other end is gone.
        """
        arrays = arrays or {}
        shapes = [[name, array.dtype.name, array.shape] for name, array in arrays.items()]
        text = json.dumps([header, shapes]).encode()
        parts = [np.ascontiguousarray(array).tobytes() for array in arrays.values()]
        self._connection.send_bytes(b"\n".join([text, b"".join(parts)]))

    def receive(self, timeout_s: float | None = None) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the next message.

        Raises:
            TimeoutError: none came in `timeout_s`.
            EOFError: the other end is gone.
        """
        try:
            if not self._connection.poll(timeout_s):
                raise TimeoutError
            message = self._connection.recv_bytes()
        except ConnectionError as exc:  # killed with a message under way
            raise EOFError from exc
        text, _, data = message.partition(b"\n")
        header, shapes = json.loads(text)
        arrays, start = {}, 0
        for name, dtype, shape in shapes:
            size = math.prod(shape)
            arrays[name] = np.frombuffer(data, dtype, size, start).reshape(shape)
            start += arrays[name].nbytes
        return header, arrays

    def shut(self) -> None:
        """Let both ends' `receive` raise EOFError, also one that another thread is in."""
        with contextlib.suppress(OSError):  # the other end is gone
            descriptor = os.dup(self._connection.fileno())
            with socket.socket(fileno=descriptor) as end:
                end.shutdown(socket.SHUT_RDWR)
