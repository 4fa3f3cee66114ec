"""The comparison behind `make test-arm`: it must find what differs, and nothing else."""

from __future__ import annotations

import base64
import copy
import os
from typing import Any

import numpy as np
import pytest

from tests.arm.compare import BOUND, NEAR_TIE, compare
from tests.arm.roots import ROOTS, what_is_missing
from tests.arm.run import main
from tests.arm.trial import likeness

EMBEDDING = np.eye(8)[0]
PORTRAIT = np.full((4, 4, 3), 100, np.uint8)


@pytest.fixture
def here() -> dict[str, Any]:
    """Return what x86 could give for one recording with one utterance."""
    return {
        "bundle": "space",
        "budget": ["edge", "numpy"],
        "golden": True,
        "fingerprint": True,
        "voices": {
            "0": [
                {
                    "start": 1600,
                    "end": 48000,
                    "embedding": EMBEDDING.tolist(),
                    "traits": {"female": 0.9, "f0_hz": 200.0},
                    "ranking": [("a", 0.5), ("b", 0.4), ("c", 0.4 - NEAR_TIE / 2), ("d", 0.1)],
                    "portrait": base64.b64encode(PORTRAIT.tobytes()).decode(),
                }
            ]
        },
    }


def utterance(found: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = found["voices"]["0"][0]
    return first


def tilted(cosine: float) -> list[float]:
    return (cosine * EMBEDDING + (1 - cosine**2) ** 0.5 * np.eye(8)[1]).tolist()


def test_the_same_is_the_same(here: dict[str, Any]) -> None:
    difference = compare(here, copy.deepcopy(here))
    assert difference.faults == ()
    assert difference.least_cosine == 1.0
    assert difference.rankings_alike == difference.best_alike == difference.utterances == 1
    assert (difference.least_psnr, difference.overtaken) == (99.0, 0.0)


def test_small_differences_are_counted_and_forgiven(here: dict[str, Any]) -> None:
    there = copy.deepcopy(here)
    heard = utterance(there)
    heard["embedding"] = tilted(0.99)
    heard["end"] += BOUND
    heard["traits"] = {"female": 0.85, "f0_hz": 204.0}
    heard["ranking"] = [("a", 0.51), ("c", 0.41), ("b", 0.4), ("d", 0.1)]  # a near tie
    heard["portrait"] = base64.b64encode((PORTRAIT + 1).tobytes()).decode()
    difference = compare(here, there)
    assert difference.faults == ()
    assert difference.least_cosine == pytest.approx(0.99)
    assert (difference.best_alike, difference.rankings_alike) == (1, 0)
    assert difference.overtaken == pytest.approx(NEAR_TIE / 2)
    assert difference.largest_trait == pytest.approx({"female": 0.05, "f0_hz": 4.0})
    assert difference.least_psnr == pytest.approx(20 * np.log10(255))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"embedding": tilted(0.97)}, "cosine 0.9700"),
        ({"start": 1600 + BOUND + 1}, "start at"),
        ({"traits": {"female": 0.7, "f0_hz": 200.0}}, "female 0.7, not 0.9"),
        ({"traits": {"female": 0.9, "f0_hz": 230.0}}, "f0_hz 230.0, not 200.0"),
        ({"traits": {"female": float("nan"), "f0_hz": 200.0}}, "female nan"),
        ({"ranking": [("b", 0.5), ("a", 0.4), ("c", 0.3), ("d", 0.1)]}, "ranking"),
        ({"ranking": [("a", 0.5), ("d", 0.4), ("b", 0.3), ("c", 0.1)]}, "ranking"),
    ],
)
def test_an_utterance_that_differs(here: dict[str, Any], change: Any, fault: str) -> None:
    there = copy.deepcopy(here)
    utterance(there).update(change)
    (found,) = compare(here, there).faults
    assert fault in found
    assert found.startswith("0:0: ")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"bundle": "other"}, "bundle differs"),
        ({"budget": ["edge", "numpy", "scipy"]}, "scipy"),
        ({"golden": False}, "golden: False"),
        ({"voices": {"0": []}}, "0 utterances, not 1"),
        ({"voices": {}}, "0 utterances, not 1"),
    ],
)
def test_a_run_that_differs(here: dict[str, Any], change: Any, fault: str) -> None:
    faults = compare(here, {**here, **change}).faults
    assert any(fault in found for found in faults)


def test_captured_sound_is_found_wherever_it_begins() -> None:
    noise = np.random.default_rng(3).standard_normal(20_000)
    assert likeness(noise, noise[5_000:9_000]) == pytest.approx(1.0)
    assert likeness(noise, np.random.default_rng(4).standard_normal(4_000)) < 0.5


def test_roots_are_those_of_the_two_systems() -> None:
    assert [(root.suite, root.architecture, root.python) for root in ROOTS] == [
        ("bookworm", "arm64", "3.11"),
        ("trixie", "arm64", "3.13"),
        ("bookworm", "armhf", "3.11"),
    ]


@pytest.mark.skipif(
    os.environ.get("CI") != "true", reason="takes minutes: CI=true, or make test-arm"
)
def test_debian_12_on_arm_hears_what_x86_hears(capfd: pytest.CaptureFixture[str]) -> None:
    """Run the cheapest of the three roots, with one interpreter; the other two: make test-arm."""
    if reason := what_is_missing():
        pytest.skip(reason)
    status = main(["--voices", "2", "--interpreters", "1", "bookworm-arm64"])
    said = capfd.readouterr()
    assert status == 0, said.err
    assert "1 passed, 0 failed" in said.out
