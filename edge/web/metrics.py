"""The daemon's figures in the Prometheus text format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/ and, for the names,
https://prometheus.io/docs/practices/naming/: base units, and `_total` for what only grows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from ..board import BITS, read_temperature
from ..sinks.discovery import AUDIO_STATES
from ..vitals import Vitals
from .tally import Totals

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
KINDS = ("heard", "dropped", "audio", "gap", "system")  # of events
PROCESS = Path("/proc/self")

Samples = Mapping[tuple[tuple[str, str], ...], float]  # by labels


@dataclass(frozen=True, slots=True)
class Family:
    """One metric and its samples."""

    name: str  # without "earsight_"; a counter ends in _total
    text: str
    samples: Samples

    def render(self) -> str:
        """Return its lines."""
        kind = "counter" if self.name.endswith("_total") else "gauge"
        name = f"earsight_{self.name}"
        lines = [f"# HELP {name} {self.text}", f"# TYPE {name} {kind}"]
        for labels, value in self.samples.items():
            inside = ",".join(f'{key}="{_escape(text)}"' for key, text in labels)
            lines.append(f"{name}{{{inside}}} {value:.12g}" if inside else f"{name} {value:.12g}")
        return "\n".join(lines) + "\n"


def render(vitals: Vitals | None, totals: Totals, watchers: int) -> str:
    """Return every figure that is known."""
    families = [*_process(), *_events(totals), _one("page_watchers", "Browsers watching", watchers)]
    if vitals is not None:
        families += [*_capture(vitals), *_sinks(vitals), *_board(vitals)]
    return "".join(family.render() for family in families)


def _capture(vitals: Vitals) -> Iterator[Family]:
    manifest, audio = vitals.bundle.manifest, vitals.audio
    build = {
        "version": __version__,
        "bundle": manifest.name,
        "space_id": manifest.embedding.space_id,
        "runtime": f"{vitals.backend.name} {vitals.backend.version}",
    }
    yield Family("build_info", "What runs; always 1", {tuple(build.items()): 1})
    yield _one("alive", "1 while sound and inference get on", vitals.alive)
    yield Family(
        "audio_state",
        "1 for the present state of the microphone",
        {(("state", state),): state == audio.state for state in AUDIO_STATES},
    )
    yield _one("audio_level_dbfs", "RMS of the last sound, dB below full scale", vitals.level_dbfs)
    yield _one("audio_overruns_total", "Times that samples were lost", audio.overruns)
    yield _one("audio_reopened_total", "Times the microphone was opened again", audio.reopened)
    yield _one("utterances_waiting", "Utterances heard but not looked at", vitals.waiting)
    yield _one("people", "People whose faces are ranked", len(vitals.gallery.people))


def _events(totals: Totals) -> Iterator[Family]:
    yield Family(
        "events_total",
        "Events by kind: heard is an utterance understood, dropped one given up",
        {(("kind", kind),): totals.events.get(kind, 0) for kind in KINDS},
    )
    yield _one("speech_seconds_total", "Length of the utterances understood", totals.speech_s)
    yield _one("audio_lost_seconds_total", "Sound lost in gaps", totals.lost_s)
    yield _one(
        "latency_seconds_total",
        "From the end of an utterance to its event, summed over events of kind heard",
        totals.latency_s,
    )
    yield Family(
        "stage_seconds_total",
        "Time spent in each stage, summed over events of kind heard",
        {(("stage", stage),): seconds for stage, seconds in totals.stage_s.items()},
    )


def _sinks(vitals: Vitals) -> Iterator[Family]:
    for key, name, text in (
        ("written", "sink_events_total", "Events a sink took"),
        ("failures", "sink_failures_total", "Attempts that a sink refused"),
        ("dropped", "sink_dropped_total", "Events given up for a sink"),
        ("waiting", "sink_waiting", "Events in a sink's queue"),
    ):
        found: Samples = {(("sink", s.name),): float(getattr(s, key)) for s in vitals.sinks}
        yield Family(name, text, found)


def _board(vitals: Vitals) -> Iterator[Family]:
    if (celsius := read_temperature()) is not None:
        yield _one("board_temperature_celsius", "Of the processor", celsius)
    if (bits := vitals.throttled) is not None:
        reasons: Samples = {(("reason", text),): bits >> bit & 1 for bit, text in BITS.items()}
        yield Family("board_throttled", "1 for what the firmware reports", reasons)


def _process() -> Iterator[Family]:
    """Yield what the kernel says of this process; nothing where there is no /proc."""
    try:
        pages = int((PROCESS / "statm").read_text(encoding="ascii").split()[1])
        fields = (PROCESS / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
        handles = len(os.listdir(PROCESS / "fd"))  # noqa: PTH208
    except OSError:
        return
    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    resident = pages * os.sysconf("SC_PAGE_SIZE")
    yield _one("process_resident_memory_bytes", "Memory in use", resident)
    yield _one("process_cpu_seconds_total", "Processor time used", seconds)
    yield _one("process_open_fds", "Open files and sockets", handles)


def _one(name: str, text: str, value: float) -> Family:
    return Family(name, text, {(): value})


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
