"""A bar over items: done, rate, time left, failures."""

from __future__ import annotations

import sys
import threading


class Meter:
    """A progress bar on stderr that any thread may move."""

    def __init__(self, total: int, done: int, *, show: bool) -> None:
        from tqdm import tqdm

        # smoothing 0: the mean rate of this run, as shards of a cluster arrive in bursts
        self._bar = tqdm(
            total=total, initial=done, desc="embed", unit="item", smoothing=0, disable=not show
        )
        self._failed = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def add(self, items: int) -> None:
        """Count items."""
        with self._lock:
            self._bar.update(items)

    def fail(self, items: int) -> None:
        """Count items that failed."""
        self._failed += items
        if items:
            with self._lock:
                self._bar.set_postfix_str(f"{self._failed} failed")

    def tell(self, line: str) -> None:
        """Print a line above the bar."""
        from tqdm import tqdm

        tqdm.write(line, file=sys.stderr)
