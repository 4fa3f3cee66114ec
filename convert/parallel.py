"""Run a function over many items on several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[Result]:
    """Yield `function(item)` in the order of `items`; one worker runs in this process.

    Workers are spawned, not forked: the caller may have TensorFlow's threads running. `function`
    must therefore be importable, and a script that calls this needs its `__main__` guard.
    """
    if workers <= 1 or len(items) <= 1:
        yield from map(function, items)
        return
    with get_context("spawn").Pool(min(workers, len(items))) as pool:
        yield from pool.imap(function, items)
