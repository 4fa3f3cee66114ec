"""Keeps a process that runs for months from holding memory that it has no use for."""

from __future__ import annotations

import ctypes

# mallopt(3)
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
THRESHOLD = 128 * 1024  # bytes, glibc's own at the start of a process
ARENAS = 1


def spare_memory() -> None:
    """Let large arrays go back to the system when they are freed; call it before threads start.

    By itself glibc raises its threshold to the largest array it has seen freed, up to 32 MB, and
    gives each thread a heap of its own: an utterance then leaves holes behind wherever it was
    looked at. Costs a few page faults for each array. Does nothing without glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_ARENA_MAX, ARENAS)
    mallopt(_M_MMAP_THRESHOLD, THRESHOLD)
