"""The law that joins voice and face."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from convert.population.law import (
    MIX,
    RECORDING_ODDS,
    SIZE_FROM_TRACT,
    Person,
    draw_person,
    median_f0,
)
from convert.population.people import draw_people, load_people, save_people, split_of
from convert.recipe import PopulationRecipe
from edge.errors import ConfigError

RECIPE = PopulationRecipe(
    paired=300, voice_only=50, resampled=0, face_only=50, clips=1, photos=1, typical=1,
    base_utterances=1, validation=0.1, test=0.2,
)  # fmt: skip


@pytest.fixture(scope="module")
def crowd() -> list[Person]:
    return [draw_person("paired", i, 3) for i in range(1500)]


def test_a_person_is_a_function_of_seed_and_index() -> None:
    assert draw_person("paired", 7, 1) == draw_person("paired", 7, 1)
    assert draw_person("paired", 7, 1) != draw_person("paired", 7, 2)
    assert draw_person("paired", 7, 1).seed != draw_person("face_only", 7, 1).seed


def test_the_mix(crowd: list[Person]) -> None:
    share = [np.mean([p.age_class == c for p in crowd]) for c in ("child", "adult", "elderly")]
    np.testing.assert_allclose(share, MIX, atol=0.04)
    assert np.mean([p.male for p in crowd]) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("male", "f0", "tract"), [(True, 118.0, 17.2), (False, 205.0, 14.8)], ids=["men", "women"]
)
def test_adults_sound_as_published(
    crowd: list[Person], male: bool, f0: float, tract: float
) -> None:
    adults = [p for p in crowd if p.age_class == "adult" and p.male == male]
    semitones = 12 * np.log2(np.median([p.f0_hz for p in adults]) / f0)
    assert abs(semitones) < 0.5
    assert np.mean([p.vtl_cm for p in adults]) == pytest.approx(tract, abs=0.15)


def test_size_follows_the_vocal_tract_within_a_class(crowd: list[Person]) -> None:
    men = [p for p in crowd if p.age_class == "adult" and p.male]
    r = np.corrcoef([p.vtl_cm for p in men], [p.size for p in men])[0, 1]
    assert r == pytest.approx(SIZE_FROM_TRACT, abs=0.09)


def test_a_recording_is_of_the_other_sex_as_rarely_as_its_odds_say(crowd: list[Person]) -> None:
    other = np.mean([p.male != p.recorded_male for p in crowd])
    assert other == pytest.approx(1 / (1 + RECORDING_ODDS), abs=0.02)
    decorrelated = [draw_person("voice_only", i, 3) for i in range(100)]
    assert all(p.male == p.recorded_male for p in decorrelated)


def test_the_typical_f0_has_no_steps_in_adult_life() -> None:
    for male in (True, False):
        curve = [median_f0(male, "adult" if y < 65 else "elderly", y) for y in range(18, 91)]
        assert max(abs(12 * np.log2(b / a)) for a, b in pairwise(curve)) < 0.3


def test_strangers_voices_are_decorrelated() -> None:
    voices = [draw_person("voice_only", i, 3) for i in range(800)]
    r = np.corrcoef(np.log([p.f0_hz for p in voices]), np.log([p.vtl_cm for p in voices]))[0, 1]
    assert abs(r) < 0.12


def test_splits_are_disjoint_stable_and_of_the_right_size() -> None:
    people = draw_people(RECIPE, 3)
    splits = {p.id: split_of(p, RECIPE) for p in people}
    paired = [splits[p.id] for p in people if p.kind == "paired"]
    assert np.mean([s == "test" for s in paired]) == pytest.approx(0.2, abs=0.07)
    assert np.mean([s == "validation" for s in paired]) == pytest.approx(0.1, abs=0.05)
    assert {splits[p.id] for p in people if p.kind != "paired"} == {"train"}


def test_people_survive_the_disk(tmp_path) -> None:
    people = draw_people(RECIPE, 3)[:20]
    save_people(people, tmp_path / "people.jsonl")
    assert load_people(tmp_path / "people.jsonl") == people


def test_people_of_another_version_are_one_clear_error(tmp_path) -> None:
    path = tmp_path / "people.jsonl"
    save_people(draw_people(RECIPE, 3)[:2], path)
    path.write_text(path.read_text().replace('"recorded_male": ', '"other": '))
    with pytest.raises(ConfigError, match=r"people\.jsonl: made by another version"):
        load_people(path)
