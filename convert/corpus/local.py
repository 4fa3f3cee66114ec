"""Shards on this machine: a thread waits for each, its process computes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice

from .process import ShardResult, ShardTask, embed_shard


def run_local(
    tasks: Iterator[ShardTask], workers: int, tick: Callable[[int], object]
) -> Generator[ShardResult, None, None]:
    """Yield what becomes of each shard, as it is done; closing the iterator ends the processes.

    One shard more than there are workers is held at a time, and as many results at most.

    Args:
        tasks: taken one by one.
        workers: processes, at least 1.
        tick: called after each item, in any thread.

    Raises:
        EarsightError: what keeps every item from being embedded.
    """
    stop = threading.Event()
    running: set[Future[ShardResult]] = set()
    with ThreadPoolExecutor(workers) as threads:
        try:
            while True:
                for task in islice(tasks, workers + 1 - len(running)):
                    running.add(threads.submit(embed_shard, task, stop.is_set, tick))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            stop.set()
            for future in running:
                future.cancel()
