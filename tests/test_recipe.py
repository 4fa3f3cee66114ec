"""Recipes are read strictly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convert.cli import main
from convert.recipe import load_recipe
from edge.errors import ConfigError


def test_the_shipped_recipe() -> None:
    recipe = load_recipe(Path("default"))
    assert recipe.name == "default"
    assert json.loads(recipe.json())["population"]["paired"] == recipe.population.paired
    assert len(recipe.sha256()) == 64


def changed(tmp_path: Path, **changes: object) -> Path:
    data = json.loads(load_recipe(Path("default")).json())
    data.update(changes)
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(data))
    return path


def test_an_unknown_key_is_named_with_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="galery: unknown key, did you mean 'gallery'"):
        load_recipe(changed(tmp_path, galery=3))


def test_a_mistyped_value_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="seed: must be int"):
        load_recipe(changed(tmp_path, seed="one"))


def test_splits_must_leave_something_to_train_on(tmp_path: Path) -> None:
    population = json.loads(load_recipe(Path("default")).json())["population"]
    with pytest.raises(ConfigError, match="no training data"):
        load_recipe(changed(tmp_path, population={**population, "test": 0.95}))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["population", "--work", "w"], 3, "no head geometry"),
        (["population", "--work", "w", "--recipe", "nope", "--geometry", "x"], 3, "no such recipe"),
        (["quantize", "--work", "w"], 3, "earsight-convert train"),
        (["pack", "--work", "w"], 3, "earsight-convert verify"),
        (["train", "--work", "w"], 3, "earsight-convert population"),
    ],
)
def test_each_step_says_which_comes_before(
    arguments: list[str],
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EARSIGHT_GEOMETRY", raising=False)
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
