"""Shards on a Dask cluster that somebody else runs.

Workers compute and return; this process alone writes. That makes exactly once simple: a shard is
written by whoever asked for it, once, when the one result of its future arrives. A worker that the
scheduler took for dead and that goes on computing can write nothing, and workers need to read the
data and the bundle, nothing more. The price is small: a shard of 1024 items returns 512 kB.

At most two shards for each thread of the cluster are under way, so the memory of scheduler, workers
and this process does not depend on the corpus. When a worker dies the scheduler gives its shards to
others (three times, `distributed.scheduler.allowed-failures`), then this process hands them in
again. Workers that leave and come count from then on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import socket
import uuid
from collections.abc import Callable, Generator, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from edge.errors import ConfigError, EarsightError, RuntimeUnavailable

from .process import ShardResult, ShardTask, embed_shard

if TYPE_CHECKING:
    from distributed import Client

SCHEMES = ("tcp", "tls", "ws", "wss")
CONNECT_S = 15  # to reach the scheduler, and again when it is lost
FIRST_WORKER_S = 60  # until it has a worker
PATIENCE_S = 5.0  # how often somebody looks whether the cluster is still there
AHEAD = 2  # shards under way for each thread
SUBMISSIONS = 4  # of one shard, each of which may lose four workers
SAME = "scheduler and workers need the same earsight as this machine, with its [cluster] extra"
PATHS = "every worker needs the bundle and the data under the same paths as this machine"


def run_cluster(
    tasks: Iterator[ShardTask],
    address: str,
    tick: Callable[[int], object],
    tell: Callable[[str], object],
) -> Generator[ShardResult, None, None]:
    """Yield what becomes of each shard, as it arrives; closing the iterator cancels the others.

    Args:
        tasks: taken one by one.
        address: of the scheduler, tcp://HOST:PORT.
        tick: called with the number of items of each shard that arrives.
        tell: called with a line when the cluster has no workers for a while.

    Raises:
        ConfigError: no scheduler answers there.
        RuntimeUnavailable: distributed is not installed, the scheduler is lost or has no workers,
            a shard's workers die again and again, or a worker has another earsight.
        EarsightError: what keeps a worker from embedding; names the worker.
    """
    with _connected(address) as client:
        crew = _Crew(client, tell)
        try:
            while True:
                for task in islice(tasks, crew.room()):
                    crew.submit(task)
                if not crew.running:
                    return
                result = crew.next_result()
                if result is not None:
                    tick(len(result.shard.ids))
                    yield result
        finally:
            if crew.running:
                with contextlib.suppress(Exception):  # a scheduler that is gone knows of nothing
                    client.cancel(list(crew.running), force=True)


class _Crew:
    """The shards that the cluster is working on."""

    def __init__(self, client: Client, tell: Callable[[str], object]) -> None:
        self.running: dict[Any, tuple[ShardTask, int]] = {}  # future → shard, submission
        self._client = client
        self._tell = tell
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._idle_s = 0.0  # without workers
        self._run = uuid.uuid4().hex[:8]  # another command's shards are other tasks

    def room(self) -> int:
        """Return how many more shards may be handed in."""
        return max(0, AHEAD * max(1, self._threads()) - len(self.running))

    def submit(self, task: ShardTask, submission: int = 1) -> None:
        """Hand a shard in."""
        key = f"earsight-{self._run}-shard-{task.number}-{submission}"
        with _reaching(self._client):
            future = self._client.submit(on_worker, task, key=key, pure=False)
        self.running[future] = (task, submission)
        future.add_done_callback(self._done.put)

    def next_result(self) -> ShardResult | None:
        """Return a shard that is done, None when there was none for a while."""
        from distributed import KilledWorker

        try:
            future = self._done.get(timeout=PATIENCE_S)
        except queue.Empty:
            self._look()
            return None
        task, submission = self.running.pop(future)
        cause: BaseException | None = None
        with _reaching(self._client):
            if future.status != "error":
                try:
                    # fetched now; computed again where its worker has died since
                    result: ShardResult = future.result()
                    return result
                except KilledWorker as exc:
                    cause = exc
            else:
                cause = future.exception()
        self._failed(task, submission, cause)
        return None

    def _failed(self, task: ShardTask, submission: int, cause: BaseException | None) -> None:
        """Hand the shard of a dead worker in again; raise what else went wrong."""
        from distributed import KilledWorker

        if isinstance(cause, EarsightError):
            raise cause
        if not isinstance(cause, KilledWorker):
            told = " ".join(f"{type(cause).__name__}: {cause}".split())[:300]
            raise RuntimeUnavailable(f"a worker cannot embed ({told}); {SAME}") from cause
        if submission == SUBMISSIONS:
            raise RuntimeUnavailable(
                f"every worker that was given shard {task.number} died; look into the workers' "
                "logs (memory?), then run the same command again"
            )
        self.submit(task, submission + 1)

    def _look(self) -> None:
        """Say when the cluster has no workers."""
        self._idle_s = 0.0 if self._threads() else self._idle_s + PATIENCE_S
        if self._idle_s == PATIENCE_S:
            self._tell("the cluster has no workers; waiting for some (Ctrl-C stops)")

    def _threads(self) -> int:
        """Return how many threads the workers have together, now."""
        with _reaching(self._client):
            return sum(self._client.nthreads().values())


def on_worker(task: ShardTask) -> ShardResult:
    """Embed a shard on a worker; errors and result name the worker."""
    from dataclasses import replace

    from distributed import get_worker

    where = str(get_worker().address)
    try:
        return replace(embed_shard(task), where=where)
    except EarsightError as exc:
        raise type(exc)(f"worker {where}: {exc}; {PATHS}") from exc


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Client]:
    """Yield a client of a scheduler that has workers."""
    try:
        from distributed import Client
    except ModuleNotFoundError as exc:
        raise RuntimeUnavailable(
            f"--scheduler needs Dask ({exc.name} is not installed); "
            "run: pip install 'earsight[cluster]'"
        ) from exc
    with _quiet():
        try:
            _knock(address)
            client = Client(address, timeout=CONNECT_S, set_as_default=False)
        except Exception as exc:  # Dask reads what another service answers, and fails anyhow
            raise ConfigError(
                f"{address}: no scheduler answers there; start one with `dask scheduler` and give "
                "the address it prints, tcp://HOST:PORT"
            ) from exc
        try:
            _await_workers(client, address)
            yield client
        finally:
            with contextlib.suppress(Exception):
                client.close(timeout=CONNECT_S)


def _knock(address: str) -> None:
    """Raise something unless a scheduler answers at an address.

    A client that finds nobody leaves a thread behind and complains when it is collected; one that
    finds another service may wait for ever.
    """
    from distributed import Security
    from distributed.core import rpc

    async def ask() -> Any:
        async with rpc(address, connection_args=Security().get_connection_args("client")) as peer:
            return await peer.identity()

    place = urlsplit(address)
    if place.scheme not in SCHEMES or not place.hostname or not place.port:
        raise ValueError("no address of a scheduler")
    socket.create_connection((place.hostname, place.port), CONNECT_S).close()
    if asyncio.run(asyncio.wait_for(ask(), CONNECT_S))["type"] != "Scheduler":
        raise ValueError("another part of a cluster")


def _await_workers(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=FIRST_WORKER_S)
    except TimeoutError as exc:
        raise RuntimeUnavailable(
            f"{address}: the scheduler has no workers; start some with `dask worker {address}`"
        ) from exc


@contextlib.contextmanager
def _reaching(client: Client) -> Iterator[None]:
    """Turn whatever Dask raises when it does not reach the scheduler into one line."""
    try:
        yield
    except EarsightError:
        raise
    except Exception as exc:  # errors of connections, of futures, of a client that is closed
        where = client.scheduler.address if client.scheduler else "the scheduler"
        raise RuntimeUnavailable(
            f"{where} is gone; what is finished is kept, run the same command again when it is back"
        ) from exc


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's log of lost connections off the terminal: what matters is raised."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    loggers = [logging.getLogger(name) for name in names]  # each has a level and handler of its own
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
