"""One shard: its items are embedded in a process of its own, which a hostile file may take along.

A crash costs the file it happened in, not the shard; a leak ends with the shard; and a thread that
waits here does not keep another from computing, so that a Dask worker with many threads is as good
as many workers.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import EarsightError, RuntimeUnavailable
from edge.types import Float32

from ..datasets.item import Item
from .child import Order
from .embedding import Failure
from .shard import Shard

POLL_S = 0.2  # how often a waiting thread asks whether to stop
ATTEMPTS = 2  # the first death may have been another's fault, when memory ran out
ROOT = Path(__file__).parents[2]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # there is a child for each core


class Stopped(Exception):  # noqa: N818 (nothing went wrong)
    """The command ends before the shard is done."""


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One shard to make; what a worker is sent."""

    number: int
    order: Order
    dim: int
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class ShardResult:
    """What a worker sends back."""

    number: int
    shard: Shard
    absent: tuple[int, ...]  # rows of files that are not where the item says
    where: str = ""  # name of the worker, "" for this machine


def embed_shard(
    task: ShardTask,
    stopped: Callable[[], bool] = lambda: False,
    tick: Callable[[int], object] = lambda items: None,
) -> ShardResult:
    """Embed the items of a shard.

    Args:
        task: which.
        stopped: asked five times a second.
        tick: called after each item.

    Raises:
        BundleError: the bundle is not here or is another one.
        EarsightError: what else keeps every item from being embedded.
        Stopped: `stopped` said so.
    """
    embeddings = np.full((len(task.items), task.dim), np.nan, np.float32)
    failures: dict[int, str] = {}
    absent = []
    with contextlib.closing(_Children(task.order, stopped)) as children:
        for row, item in enumerate(task.items):
            answer = children.ask(item)
            if isinstance(answer, Failure):
                failures[row] = answer.reason
                if answer.absent:
                    absent.append(row)
            else:
                embeddings[row] = answer
            tick(1)
        runtime = children.runtime
    ids = tuple(item.id for item in task.items)
    return ShardResult(task.number, Shard(ids, embeddings, failures, runtime), tuple(absent))


class _Children:
    """A child at work, and another one when it dies."""

    def __init__(self, order: Order, stopped: Callable[[], bool]) -> None:
        self.runtime = ""
        self._order = order
        self._stopped = stopped
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Any = None

    def ask(self, item: Item) -> Float32 | Failure:
        """Return what becomes of an item."""
        code = 0
        for _ in range(ATTEMPTS):
            if self._process is None:
                self._start()
            answer = self._exchange(item)
            if answer is not None:
                return answer  # type: ignore[no-any-return]
            code = self._end()
            if code == -signal.SIGALRM:
                return Failure(f"took more than {self._order.longest_s} s")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Failure(f"crashed its decoder ({how})")

    def close(self) -> None:
        """End the child: it holds nothing that could be lost."""
        self._end()
        self._errors.close()

    def _start(self) -> None:
        self._connection, theirs = multiprocessing.Pipe()
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "convert.corpus.child", str(theirs.fileno())],
            env={**ONE_THREAD, **os.environ, "PYTHONPATH": path},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        theirs.close()
        runtime = self._exchange(self._order)
        if runtime is None:
            code = self._end()
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="replace").split("\n")
            told = next((line.strip() for line in reversed(lines) if line.strip()), "no message")
            raise RuntimeUnavailable(
                f"a process that embeds ended with {code} before it began ({told[:200]}); free "
                "some memory and run the same command again"
            )
        self.runtime = runtime

    def _exchange(self, what: object) -> Any:
        """Send something and return the answer, None when the child has died instead."""
        try:
            self._connection.send(what)
            while not self._connection.poll(POLL_S):
                if self._stopped():
                    raise Stopped
            answer = self._connection.recv()
        except (EOFError, ConnectionError):
            return None
        if isinstance(answer, EarsightError):
            raise answer
        return answer

    def _end(self) -> int:
        """Let the child be gone, and return its exit code; -n is signal n."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        self._connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)  # it has died by itself, or hears that the socket is closed
        process.kill()
        return process.wait()
