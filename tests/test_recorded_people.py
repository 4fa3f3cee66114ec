"""The real people a bundle is measured on: how their words become speech, and what is counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from convert.population.voices.base_voices import RECORDED_VOICES
from convert.population.voices.recordings import SPOKEN_S, joined
from edge.errors import EarsightError
from edge.types import Traits

from . import recorded_people as module
from .measure_real_voices import HeardPerson, from_formants, report
from .recorded_people import SAMPLE_RATE, RecordedPerson, recorded_people, write_speech
from .vowel import vowel


def tone(seconds: float, hz: float, level: float = 0.3) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE)


def test_words_become_speech_equally_loud_with_short_gaps() -> None:
    words = [tone(1.0, 200.0, level) for level in (0.05, 0.9) * 5]
    speech = joined(iter(words), np.random.default_rng(1))
    silent = np.convolve(np.abs(speech), np.ones(160) / 160, "same") < 1e-6
    gaps = [len(run) for run in np.split(silent, np.flatnonzero(np.diff(silent)) + 1) if run[0]]
    assert len(gaps) == 6  # of ten words six are said, and each is followed by a gap
    assert all(0.04 < gap / SAMPLE_RATE < 0.21 for gap in gaps)
    first, second = (np.sqrt(np.mean(speech[at : at + 8000] ** 2)) for at in (4000, 24_000))
    assert first == pytest.approx(second, rel=0.05)
    assert np.abs(speech[:3]).max() < 1e-3


def test_clicks_are_no_words_and_few_words_no_speech() -> None:
    words = [tone(0.1, 300.0)] * 90 + [tone(1.0, 300.0)] * 2
    with pytest.raises(EarsightError, match=rf"only 2\.0 s of words, {SPOKEN_S} are needed"):
        joined(iter(words), np.random.default_rng(1))
    assert len(joined(iter(words), np.random.default_rng(1), 2.0)) > 2 * SAMPLE_RATE


def test_nobody_is_trained_with_and_measured_on() -> None:
    people = recorded_people()
    assert len({person.name for person in people}) == len(people) == 42
    patterns = {person.pattern for person in people}
    assert len(patterns) == 42
    assert not patterns & {voice.voice for voice in RECORDED_VOICES}
    root = module.SHARE
    trained = {path for voice in RECORDED_VOICES for path in root.glob(voice.voice)}
    assert not trained & {path for pattern in patterns for path in root.glob(pattern)}


def test_a_persons_recordings_differ_and_repeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("soxr")
    (tmp_path / "words").mkdir()
    for number in range(9):
        soundfile.write(tmp_path / f"words/{number}.ogg", tone(0.8, 150.0 + number), SAMPLE_RATE)
    monkeypatch.setattr(module, "SHARE", tmp_path)
    person = RecordedPerson("p_xx", True, "p", "words/*.ogg")
    assert write_speech(person, tmp_path / "a") == write_speech(person, tmp_path / "b") == 6
    files = [(tmp_path / folder / f"{n}.wav").read_bytes() for folder in "ab" for n in range(6)]
    assert files[:6] == files[6:]
    assert len(set(files)) == 6
    assert write_speech(RecordedPerson("q_xx", None, "q", "none/*.ogg"), tmp_path / "c") == 0


def people() -> Iterator[HeardPerson]:
    def heard(*female: float, child: float = 0.1, age: float | None = 40.0) -> tuple[Traits, ...]:
        return tuple(Traits(p, child, 150.0, 15.0, age_years=age) for p in female)

    yield HeardPerson("right", True, heard(0.9, 0.4, 0.9), heard(0.3, age=None))
    yield HeardPerson("wrong", False, heard(0.9, 0.6))
    yield HeardPerson("young", None, heard(0.6, 0.6, child=0.8, age=None))
    yield HeardPerson("old", False, heard(0.1, age=70.0))


def test_the_page_counts_people_and_recordings() -> None:
    page = report({"everybody": list(people())}).splitlines()
    total = next(line for line in page if line.startswith("| everybody "))
    cells = [cell.strip() for cell in total.strip("|").split("|")]
    # one man by more than .8; the unlabelled count for child and age only
    assert cells[1:4] == ["2 of 3", "3 of 6", "1"]
    # bins of a tenth: .1 x1 none a woman, .4 x1 one, .6 x1 none, .9 x3 two women
    assert cells[4].startswith(f"{(0.1 + 0.6 + 0.6 + 0.7) / 6:.2f} ")
    # sure by .6 x2 none right, by .9 x4 three
    assert cells[5].startswith(f"{(1.2 + 0.6) / 6:.2f} ")
    assert cells[6:] == ["1 of 4", "1 of 4"]
    assert any(line.startswith("| wrong | man | 2 | 0.75 (wrong) | 0.10 | 40 |") for line in page)
    assert any(line.startswith("| young | ? | 2 | 0.60 | 0.80 | child |") for line in page)
    formants = next(line for line in page if line.startswith("| everybody, by formants "))
    cells = [cell.strip() for cell in formants.strip("|").split("|")]
    assert cells[1:4] + cells[6:] == ["0 of 1", "0 of 1", "0", "0 of 1", "–"]
    row = next(line for line in page if line.startswith("| right "))
    assert row.endswith("| 0.30 | 0.10 | 150 Hz | 15.0 cm |")
    assert next(line for line in page if line.startswith("| old ")).endswith("| – | – | – | – |")


def test_formants_of_a_whole_recording_tell_sex_and_childhood(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    soxr = pytest.importorskip("soxr")
    pytest.importorskip("pyworld")
    hiss = np.random.default_rng(2).normal(0, 3e-3, 4 * SAMPLE_RATE)
    heard = []
    for length_cm, f0_hz in ((17.5, 110.0), (14.8, 210.0)):
        soundfile.write(tmp_path / "whole.wav", vowel(length_cm, f0_hz, 4.0) + hiss, SAMPLE_RATE)
        traits = from_formants(tmp_path / "whole.wav")
        assert traits is not None
        assert traits.vocal_tract_cm == pytest.approx(length_cm, rel=0.03)
        heard.append((round(traits.female), round(traits.child)))
    assert heard == [(0, 0), (1, 0)]
    narrow = soxr.resample(vowel(17.5, 110.0), SAMPLE_RATE, 8000)
    telephone = soxr.resample(narrow, 8000, SAMPLE_RATE)
    soundfile.write(tmp_path / "telephone.wav", telephone, SAMPLE_RATE)
    soundfile.write(tmp_path / "short.wav", (vowel(17.5, 110.0, 4.0) + hiss)[:1600], SAMPLE_RATE)
    assert from_formants(tmp_path / "telephone.wav") is None
    assert from_formants(tmp_path / "short.wav") is None
