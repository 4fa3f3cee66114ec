"""Keeps a process that runs for months from holding memory that it has no use for."""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

# mallopt(3)
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
THRESHOLD = 128 * 1024  # bytes, glibc's own at the start of a process
ARENAS = 1
MAPS = Path("/proc/self/maps")


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


def release_model_files() -> int:
    """Give back the pages of open model files, 3 MB; return how many files that were.

    An interpreter maps the file and packs the weights for its kernels when it is built. What is
    read all the same, the system reads from the file again.
    """
    try:
        lines = MAPS.read_text(encoding="utf-8", errors="replace").splitlines()
        madvise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return 0
    released = 0
    for line in lines:
        span, permissions, *_ = line.split()
        if line.endswith(".tflite") and "w" not in permissions:
            start, end = (int(edge, 16) for edge in span.split("-"))
            length = ctypes.c_size_t(end - start)
            released += not madvise(ctypes.c_void_p(start), length, mmap.MADV_DONTNEED)
    return released
