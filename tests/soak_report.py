"""What a soak of the daemon gave, held against what is demanded, as a page of Markdown."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge import __version__
from edge.config import ServiceSettings

WARM_UP = 0.2  # of the time: caches fill, the first utterances are looked at
FLAT = 0.02  # share by which memory may differ between the beginning and the end of the rest
MOST_MB = 100.0  # million bytes
SILENCE_PERCENT, SPEECH_PERCENT = 2.0, 15.0  # of one core
LATENCY_MS = 200.0
SETTLE_S = 20.0  # after a phase begins: the last phase's utterance is still looked at
ROWS = 16


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the daemon."""

    at_s: float
    rss_mb: float  # million bytes
    threads: int
    files: int  # open descriptors
    cpu_s: float  # since it started
    waiting: int  # utterances
    sinks_waiting: int  # events, of all sinks together
    listening: bool


@dataclass(frozen=True, slots=True)
class Soaked:
    """One soak."""

    samples: Sequence[Sample]
    events: Sequence[dict[str, Any]]
    exit_code: int | None
    phase_s: float  # silence and speech alternate, silence first

    @property
    def rest(self) -> Sequence[Sample]:
        """The samples after the warm-up."""
        return self.samples[round(WARM_UP * len(self.samples)) :]

    def quarter(self, which: int) -> Sequence[Sample]:
        """Return the first (0) or the last (-1) quarter of the rest."""
        size = max(1, len(self.rest) // 4)
        return self.rest[:size] if which == 0 else self.rest[-size:]

    def count(self, kind: str) -> int:
        """Return how many events of a kind there were."""
        return sum(event["kind"] == kind for event in self.events)

    def latencies_ms(self) -> list[float]:
        """Return, for each utterance, the time from its certain end until its line was read."""
        return [
            event["latency_ms"] + 1e3 * (event["arrived_s"] - event["monotonic_s"])
            for event in self.events
            if event["kind"] == "heard"
        ]

    def load(self, speech: bool) -> list[float]:
        """Return the share of a core used between two samples of one kind of phase, percent."""
        found = []
        for before, after in zip(self.samples, self.samples[1:], strict=False):
            phase, since = divmod(before.at_s, self.phase_s)
            inside = since >= SETTLE_S and after.at_s < (phase + 1) * self.phase_s
            if inside and bool(phase % 2) == speech:
                found.append(100 * (after.cpu_s - before.cpu_s) / (after.at_s - before.at_s))
        return found


@dataclass(frozen=True, slots=True)
class Check:
    """One demand."""

    what: str
    demand: str
    found: str
    kept: bool


def checks(soaked: Soaked) -> Iterator[Check]:
    """Yield every demand with what was found."""
    first, last = (np.mean([s.rss_mb for s in soaked.quarter(q)]) for q in (0, -1))
    growth = last / first - 1
    yield Check(
        "memory (RSS), last quarter against first", f"within {FLAT:.0%}",
        f"{first:.1f} → {last:.1f} MB, {growth:+.2%}", bool(abs(growth) <= FLAT),
    )  # fmt: skip
    most = max(s.rss_mb for s in soaked.samples)
    yield Check("memory, highest", f"at most {MOST_MB:g} MB", f"{most:.1f} MB", most <= MOST_MB)
    for what, values in (
        ("open files", [[s.files for s in soaked.quarter(q)] for q in (0, -1)]),
        ("threads", [[s.threads for s in soaked.quarter(q)] for q in (0, -1)]),
    ):
        begin, end = map(min, values)  # a visit to the page opens one for a moment
        yield Check(what, "no growth", f"{begin} → {end}", end <= begin)
    limit = ServiceSettings().waiting
    waiting = max(s.waiting for s in soaked.samples)
    yield Check("utterances waiting", f"at most {limit}", f"{waiting}", waiting <= limit)
    queued = max(s.sinks_waiting for s in soaked.samples)
    yield Check("events waiting for sinks", "few", f"at most {queued}", queued < 64)
    for what, kind in (("utterances dropped", "dropped"), ("gaps in the sound", "gap")):
        yield Check(what, "none", f"{soaked.count(kind)}", not soaked.count(kind))
    listening = all(s.listening for s in soaked.samples)
    yield Check("listening", "always", "always" if listening else "not always", listening)
    heard = soaked.count("heard")
    yield Check("utterances heard", "some", f"{heard}", heard > 0)
    for what, speech, share in (
        ("silence costs", False, SILENCE_PERCENT),
        ("speech costs", True, SPEECH_PERCENT),
    ):
        if load := soaked.load(speech):
            used = float(np.median(load))
            yield Check(
                what, f"at most {share:g} % of a core",
                f"median {used:.2f} %, highest {max(load):.2f} %", used <= share,
            )  # fmt: skip
    if times := soaked.latencies_ms():
        p50, p95 = np.percentile(times, [50, 95])
        yield Check(
            "event after the end of an utterance", f"within {LATENCY_MS:g} ms",
            f"p50 {p50:.0f}, p95 {p95:.0f}, highest {max(times):.0f} ms", bool(p95 <= LATENCY_MS),
        )  # fmt: skip
    yield Check("exit code at the end", "0", f"{soaked.exit_code}", soaked.exit_code == 0)


def failures(soaked: Soaked) -> list[Check]:
    """Return the demands that were not kept."""
    return [check for check in checks(soaked) if not check.kept]


def write_report(soaked: Soaked, minutes: float) -> str:
    """Return the report."""
    lines = [
        "# Soak",
        "",
        f"The daemon of earsight {__version__} for {minutes:g} minutes with everything on: capture "
        "through PortAudio from a sound server, detector, models, portraits, journal, JSON lines, "
        "page, MQTT. It hears a minute of noise, then a minute of speech in noise, and so on.",
        "",
        f"Made by `make soak MINUTES={minutes:g}` on {_machine()}.",
        "",
        "| what | demanded | found | kept |",
        "| --- | --- | --- | --- |",
    ]
    for check in checks(soaked):
        kept = "yes" if check.kept else "**no**"
        lines.append(f"| {check.what} | {check.demand} | {check.found} | {kept} |")
    lines += [
        "",
        f"The first {WARM_UP:.0%} of the time is warm-up; quarters are of the rest. Shares of a "
        "core are of ten seconds each, within one phase. The end of an utterance is known when its "
        "pause is long enough (`speech.pause`).",
        "",
        "| minute | memory, MB | files | threads | processor, s | utterances waiting |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    step = max(1, len(soaked.samples) // ROWS)
    for sample in soaked.samples[step - 1 :: step]:
        lines.append(
            f"| {sample.at_s / 60:.1f} | {sample.rss_mb:.2f} | {sample.files} | "
            f"{sample.threads} | {sample.cpu_s:.2f} | {sample.waiting} |"
        )
    return "\n".join(lines) + "\n"


def _machine() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
        model = next(line.split(":", 1)[1].strip() for line in text.splitlines() if "name" in line)
    except (OSError, StopIteration):
        model = platform.machine()
    return f"{model}, Python {platform.python_version()}, NumPy {np.__version__}"
