"""Speakers who are recordings at another speed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from convert.population.people import draw_people, split_of
from convert.population.voices.character import draw_character
from convert.population.voices.resampled import draw_resampled, play
from convert.population.voices.speech import SAMPLE_RATE
from convert.population.voices.vocal_tract import MeasuredVoice, measure_samples
from convert.recipe import PopulationRecipe
from convert.training.dataset import labels_of

from .vowel import vowel

RECIPE = PopulationRecipe(
    paired=5, voice_only=7, resampled=200, face_only=3, clips=1, photos=1, typical=1,
    base_utterances=1, validation=0.1, test=0.2,
)  # fmt: skip
MAN = MeasuredVoice("man", "a", True, True, 18.6, 105.0)
WOMAN = MeasuredVoice("woman", "b", True, False, 14.6, 210.0)
CHILD = MeasuredVoice("child", "c", True, None, 13.0, 280.0)
ROBOT = MeasuredVoice("robot", "d", False, True, 17.0, 100.0)
VOICES = [MAN, WOMAN, CHILD, ROBOT]


def test_a_speed_changes_f0_and_vocal_tract_alike() -> None:
    people = draw_resampled(RECIPE, 3, VOICES)
    assert people == draw_resampled(RECIPE, 3, VOICES)
    assert {p.resampled for p in people} == {"man", "woman"}
    for own in (MAN, WOMAN):
        mine = [p for p in people if p.resampled == own.id]
        assert {(p.male, p.recorded_male, p.recorded) for p in mine} == {(own.male, own.male, True)}
        speeds = np.array([p.f0_hz / own.f0_hz for p in mine])
        assert speeds == pytest.approx([own.vtl_cm / p.vtl_cm for p in mine])
        assert speeds.max() - speeds.min() > 0.25
        assert all(80.0 <= p.f0_hz <= 340.0 and 10.8 <= p.vtl_cm <= 19.6 for p in mine)


def test_the_resampled_train_beside_the_others_and_their_source_is_not_told() -> None:
    others, people = draw_people(RECIPE, 3), draw_resampled(RECIPE, 3, VOICES)
    assert len({p.id for p in others + people}) == len(others) + 200
    assert {split_of(p, RECIPE) for p in people} == {"train"}
    assert labels_of(people).quality_weight.tolist() == [0.0] * 200
    assert labels_of(others).quality_weight.tolist() == [1.0] * len(others)
    assert draw_resampled(RECIPE, 3, [CHILD, ROBOT]) == []


@pytest.mark.parametrize("speed", [0.85, 1.0, 1.2])
def test_what_is_played_measures_as_it_is_labelled(speed: float) -> None:
    pytest.importorskip("pyworld")
    pytest.importorskip("soxr")
    clip = play(vowel(18.0, 160.0), speed, np.random.default_rng(1))
    assert clip is not None
    assert (clip.dtype, clip.shape) == (np.int16, (51_200,))
    length, f0 = measure_samples(clip / 32768.0)
    assert length == pytest.approx(18.0 / speed, rel=0.03)
    assert f0 == pytest.approx(160.0 * speed, rel=0.03)


def test_a_clip_is_the_recording_and_no_vocoders(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("pyworld")
    pytest.importorskip("soxr")
    pytest.importorskip("tqdm")
    from convert.population.voices.clips import load_clips, render_clips

    voice = dataclasses.replace(MAN, vtl_cm=17.0, f0_hz=120.0)
    (tmp_path / "base").mkdir()
    (tmp_path / "base/voices.json").write_text(json.dumps([dataclasses.asdict(voice)]))
    sound = vowel(17.0, 120.0)
    soundfile.write(tmp_path / "base/man__000.wav", sound, SAMPLE_RATE)
    person = draw_resampled(RECIPE, 3, [voice])[0]
    same = dataclasses.replace(person, f0_hz=voice.f0_hz, vtl_cm=voice.vtl_cm)
    assert draw_character(same, [WOMAN, voice]).base == "man"
    vocoded = dataclasses.replace(same, resampled="", id="v00000")

    def render(who: object, folder: str) -> np.ndarray:
        render_clips(
            [who], tmp_path / "base", 1, tmp_path / folder, workers=1, progress=False,
            allowed=lambda _: [voice],
        )  # fmt: skip
        return load_clips(tmp_path / folder)[0][0].astype(float)

    def likeness(clip: np.ndarray) -> float:
        """Return the largest correlation with the recording, wherever the clip was cut from."""
        size = len(sound) + len(clip)
        across = np.fft.irfft(np.fft.rfft(sound, size) * np.conj(np.fft.rfft(clip, size)), size)
        return float(np.abs(across).max() / np.sqrt((clip**2).sum() * (sound**2).sum()))

    assert likeness(render(same, "played")) > 0.8
    assert likeness(render(vocoded, "vocoded")) < 0.5
