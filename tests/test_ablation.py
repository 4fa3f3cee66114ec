"""The ablation's variants and its table; the runs themselves are `make ablation`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from convert.ablation import FIGURES, Scale, table, variants
from convert.recipe import TrainingRecipe, load_recipe

SCALE = Scale(face_steps=3, joint_steps=8, batch=4)


@pytest.fixture(scope="module")
def rows() -> dict[str, TrainingRecipe]:
    return variants(load_recipe(Path("default")).training, SCALE)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("everything, re-weighted", {"weight_steps": 4}),
        ("without implicit alignment", {"implicit": 0.0}),
        ("without explicit alignment", {"explicit": 0.0}),
        ("without the ideal observer", {"law": 0.0}),
        ("without traits", {"traits": 0.0}),
    ],
)
def test_a_row_differs_from_everything_in_one_part(
    rows: dict[str, TrainingRecipe], name: str, changed: dict[str, float]
) -> None:
    everything = dataclasses.asdict(rows["everything"])
    own = dataclasses.asdict(rows[name])
    assert {key: own[key] for key in own if own[key] != everything[key]} == changed


def test_every_row_is_small_and_the_papers_have_nothing_of_ours(
    rows: dict[str, TrainingRecipe],
) -> None:
    for name, row in rows.items():
        assert (row.face_steps, row.joint_steps, row.batch, row.alignment_steps) == (3, 8, 4, 0)
        assert ("paper" in name) == (row.law == row.traits == 0.0)


def test_the_table_has_mean_and_spread_of_the_seeds() -> None:
    runs = [dict.fromkeys(FIGURES, value) for value in (0.6, 0.7, 0.8)]
    *_, line = table({"everything": runs})
    assert line == "| everything |" + " 0.700 ± 0.100 |" * len(FIGURES)
