"""What the ideal observer loses when it is told what was read instead of what is."""

from __future__ import annotations

import numpy as np
import pytest

from convert.population.law import Person, draw_person
from convert.shortfall import FACE, VOICE, Quantity, read_quantity, table


@pytest.fixture(scope="module")
def crowd() -> list[Person]:
    return [draw_person("paired", i, 11) for i in range(120)]


def _known(people: list[Person]) -> dict[Quantity, np.ndarray]:
    return {q: np.array([getattr(p, q.field) for p in people]) for q in (*FACE, *VOICE)}


def _figures(lines: list[str]) -> dict[str, list[float]]:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    return {row[0]: [float(cell) for cell in row[2:]] for row in rows}


def test_who_reads_without_error_loses_nothing(crowd: list[Person]) -> None:
    figures = _figures(list(table(crowd, _known(crowd))))
    assert len(figures) == 1 + len(FACE) + len(VOICE) + 3
    assert all(row == figures["everything"] for row in figures.values())


def test_a_quantity_misread_costs_only_where_it_is_used(crowd: list[Person]) -> None:
    read = _known(crowd)
    years = FACE[0]
    read[years] = np.roll(read[years], 1)  # everybody's neighbour's
    figures = _figures(list(table(crowd, read)))
    everything = figures["everything"]
    for name in ("the years of the face as read", "all of faces as read", "all of both as read"):
        assert all(np.array(everything) - figures[name] > 0.05)
    assert figures["all of voices as read"] == figures["the F0 as read"] == everything


@pytest.mark.parametrize("quantity", [FACE[1], VOICE[1]], ids=lambda q: q.title)
def test_what_an_embedding_holds_is_read(crowd: list[Person], quantity: Quantity) -> None:
    """Within 5 % of the truth where one axis of the embedding is the quantity."""
    truth = np.array([getattr(p, quantity.field) for p in crowd])
    scaled = np.log(truth) if quantity.logarithm else truth
    rng = np.random.default_rng(3)
    axis = (scaled - scaled.mean()) / scaled.std()
    embedded = np.column_stack([axis, rng.normal(size=(len(crowd), 3))]).astype(np.float32)
    read = read_quantity(quantity, crowd[:80], embedded[:80], embedded[80:])
    assert np.corrcoef(read, truth[80:])[0, 1] > 0.99
    assert quantity.lowest <= read.min() <= read.max() <= quantity.highest


def test_what_an_embedding_lacks_is_not_read(crowd: list[Person]) -> None:
    noise = np.random.default_rng(4).normal(size=(len(crowd), 4)).astype(np.float32)
    truth = np.array([p.vtl_cm for p in crowd[80:]])
    read = read_quantity(VOICE[1], crowd[:80], noise[:80], noise[80:])
    assert abs(np.corrcoef(read, truth)[0, 1]) < 0.5
