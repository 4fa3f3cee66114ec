"""Runs a converter in a process of its own: it may abort, hang or want more memory than we have."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.errors import EarsightError

TIMEOUT_S = 1800
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Usage:
    """What a worker took."""

    peak_gib: float  # resident memory
    seconds: float  # of processor time


def run_worker(
    module: str, arguments: Sequence[str], about: str, out: Path, memory_gib: float | None = None
) -> Usage:
    """Run `python -m MODULE ARGUMENTS`, which must write `out`.

    Args:
        module: of this package.
        arguments: for it.
        about: what it works on, for messages.
        out: the file that must be there afterwards.
        memory_gib: private memory the process may map; the kernel refuses it more. None for no
            limit.

    Raises:
        EarsightError: it failed, crashed, hung, or needed more memory.
    """
    command = [sys.executable, "-m", module, *arguments]
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "TF_CPP_MIN_LOG_LEVEL": "3"}
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=errors, env=environment
        )
        _limit(process.pid, memory_gib)
        code, peak, seconds = _wait(process, start + TIMEOUT_S)
        errors.seek(0)
        lines = [line.strip() for line in errors if line.strip()]
    if code is None:
        raise EarsightError(
            f"{about}: the converter hung for {TIMEOUT_S} s; use fewer calibration samples"
        )
    if code != 0 or not out.exists():
        if memory_gib is not None and (code < 0 or _is_about_memory(lines)):
            raise EarsightError(
                f"{about}: the converter stopped at its limit of {memory_gib:g} GiB "
                f"(it held {peak / _GIB:.1f} GiB); give more with --memory"
            )
        how = f"crashed (signal {-code})" if code < 0 else "failed"
        raise EarsightError(
            f"{about}: the TFLite converter {how}: {lines[-1] if lines else 'no message'}"
        )
    return Usage(peak / _GIB, seconds)


def _limit(pid: int, memory_gib: float | None) -> None:
    """Bound the private memory of a process that has only just begun."""
    if memory_gib is None or sys.platform != "linux":
        return
    import resource

    size = int(memory_gib * _GIB)
    resource.prlimit(pid, resource.RLIMIT_DATA, (size, size))


def _wait(process: subprocess.Popen[bytes], deadline: float) -> tuple[int | None, int, float]:
    """Return exit code, None when it hung, peak resident memory in bytes, and processor time."""
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            return None, 0, 0.0
        time.sleep(0.05)


def _is_about_memory(lines: Sequence[str]) -> bool:
    told = " ".join(lines[-20:]).lower()
    return any(word in told for word in ("memoryerror", "out of memory", "bad_alloc", "allocate"))
