"""The limit of the benchmark."""

from __future__ import annotations

import numpy as np
import pytest

from convert.metrics import matching_of_scores
from convert.population.law import Person, draw_person
from convert.population.oracle import acoustic_scores, exact_scores


@pytest.fixture(scope="module")
def crowd() -> list[Person]:
    return [draw_person("paired", i, 11) for i in range(150)]


@pytest.fixture(scope="module")
def same_sex(crowd: list[Person]) -> np.ndarray:
    male = np.array([p.male for p in crowd])
    return male[:, None] == male[None]


def test_knowing_everything_shared(crowd: list[Person], same_sex: np.ndarray) -> None:
    """An earlier simulation of this law gave .976 unrestricted and .952 within a sex."""
    scores = exact_scores(crowd)
    assert matching_of_scores(scores) == pytest.approx(0.976, abs=0.02)
    assert matching_of_scores(scores, same_sex) == pytest.approx(0.952, abs=0.03)


def test_hearing_is_less_than_knowing(crowd: list[Person], same_sex: np.ndarray) -> None:
    exact, acoustic = exact_scores(crowd), acoustic_scores(crowd)
    for allowed in (None, same_sex):
        assert matching_of_scores(exact, allowed) > matching_of_scores(acoustic, allowed) > 0.75
