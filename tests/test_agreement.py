"""Base voices' lengths after all of them were heard by one another."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from convert.population.voices import agreement, pace
from convert.population.voices.agreement import Examples, agreed_base, corrections
from convert.population.voices.pace import faster, heard_base, modulation
from convert.population.voices.vocal_tract import CACHE_NAME, MeasuredVoice

soundfile = pytest.importorskip("soundfile", reason="the [convert] extra is not installed")


def voices(lengths_cm: np.ndarray) -> list[MeasuredVoice]:
    return [
        MeasuredVoice(f"v{i}", f"s{i // 2}", i % 4 < 2, None, float(length), 120.0)
        for i, length in enumerate(lengths_cm)
    ]


def buzz(length_cm: float, f0_hz: float) -> np.ndarray:
    """A second and a half of voiced sound whose resonances move."""
    seconds = np.arange(24_000) / 16_000
    resonance = 35_000 / (4 * length_cm) * (1.0 + 0.3 * np.sin(2 * np.pi * 3.0 * seconds))
    partials = [
        np.sin(2 * np.pi * k * f0_hz * seconds)
        / (1.0 + ((k * f0_hz - resonance * 3.0) / 200.0) ** 2)
        for k in range(1, 40)
    ]
    return 0.3 * np.sum(partials, axis=0)


@pytest.fixture
def mistaken() -> tuple[np.ndarray, list[Examples]]:
    """Forty voices whose measured length is wrong by 5 %, and examples that tell the true one."""
    rng = np.random.default_rng(3)
    wrong = rng.normal(0.0, 0.05, 40)
    mixing = rng.normal(size=(4, 12))
    examples = []
    for error in wrong:
        true = rng.uniform(np.log(11.5), np.log(19.5), 40)
        hidden = np.column_stack([true - 2.7, rng.normal(0.0, 0.2, (40, 3))])
        examples.append(Examples(hidden @ mixing, true + error))
    return wrong, examples


def test_a_wrong_length_moves_to_what_the_others_hear(
    mistaken: tuple[np.ndarray, list[Examples]],
) -> None:
    wrong, examples = mistaken
    grown = corrections(voices(np.full(40, 16.0)), examples)
    assert grown.mean() == pytest.approx(0.0, abs=1e-12)
    assert np.std(wrong + grown) < 0.35 * np.std(wrong)


def test_a_speakers_other_voice_has_no_say(mistaken: tuple[np.ndarray, list[Examples]]) -> None:
    """Both voices of one speaker are mistaken alike, and have a trait by which to know them."""
    _, examples = mistaken
    marked = [
        Examples(np.column_stack([e.features, np.full(40, float(i >= 38))]), e.told)
        for i, e in enumerate(examples)
    ]
    same = [*marked[:38], *(Examples(e.features, e.told + 0.2) for e in marked[38:])]
    before, after = (corrections(voices(np.full(40, 16.0)), e) for e in (marked, same))
    moved = (after - before)[38:] - (after - before)[:38].mean()
    assert np.all(moved < -0.12)


def test_voices_with_nothing_to_hear_stay() -> None:
    nothing = Examples(np.empty((0,)), np.empty((0,)))
    some = Examples(np.random.default_rng(0).normal(size=(9, 4)), np.linspace(2.4, 2.9, 9))
    grown = corrections(voices(np.array([16.0, 15.0, 17.0])), [nothing, some, some])
    assert np.isfinite(grown).all()
    assert not corrections(voices(np.array([16.0, 15.0])), [nothing, nothing]).any()


def test_what_was_agreed_is_kept_until_a_measurement_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = voices(np.array([15.0, 17.0, 16.0]))
    monkeypatch.setattr(agreement, "measure_base", lambda *_: measured)
    for voice in measured:
        for number in range(2):
            path = tmp_path / f"{voice.id}__{number:03d}.wav"
            soundfile.write(path, buzz(voice.vtl_cm, 100.0 + 20 * number), 16_000)
    first = agreed_base(tmp_path, 1, progress=False)
    assert [v.id for v in first] == [v.id for v in measured]
    kept = tmp_path / agreement.CACHE_NAME
    content = json.loads(kept.read_text())
    assert content["measured"] == {"v0": 15.0, "v1": 17.0, "v2": 16.0}
    assert content["agreed"] != content["measured"]
    content["agreed"]["v1"] = 18.25
    kept.write_text(json.dumps(content))
    assert agreed_base(tmp_path, 1, progress=False)[1].vtl_cm == 18.25
    measured[0] = MeasuredVoice("v0", "s0", True, None, 15.5, 120.0)
    assert agreed_base(tmp_path, 1, progress=False)[1].vtl_cm != 18.25
    assert not (tmp_path / CACHE_NAME).exists()


def syllables(rate_hz: float, rng: np.random.Generator) -> np.ndarray:
    """Three seconds of noise that swells and fades at an uneven rate."""
    lengths = rng.normal(1.0, 0.25, 60).clip(0.4) / rate_hz
    phase = np.interp(np.arange(48_000) / 16_000, np.cumsum(lengths), np.arange(60.0))
    return 0.1 * np.abs(np.sin(np.pi * phase)) * rng.normal(size=48_000)


def test_voices_agree_on_who_speaks_fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = voices(np.full(16, 16.0))
    monkeypatch.setattr(pace, "agreed_base", lambda *_: measured)
    rng = np.random.default_rng(5)
    rates = rng.normal(0.0, 0.1, 16)
    for voice, rate in zip(measured, rates, strict=True):
        for number in range(3):
            path = tmp_path / f"{voice.id}__{number:03d}.wav"
            soundfile.write(path, syllables(5.0 * np.exp(rate), rng), 16_000)
    heard = heard_base(tmp_path, 1, progress=False)
    assert [v.id for v in heard] == [v.id for v in measured]
    paces = np.log([v.pace for v in heard])
    assert np.corrcoef(paces, rates)[0, 1] > 0.85
    assert paces.mean() == pytest.approx(0.0, abs=1e-3)
    kept = tmp_path / pace.CACHE_NAME
    content = json.loads(kept.read_text())
    kept.write_text(json.dumps(content | {"v3": 1.5}))
    assert heard_base(tmp_path, 1, progress=False)[3].pace == 1.5


def test_modulation_hears_tempo_and_not_loudness() -> None:
    levels = pace.band_levels(syllables(5.0, np.random.default_rng(1)))
    assert len(faster(levels, 1.25)) == pytest.approx(len(levels) / 1.25, abs=1)
    np.testing.assert_allclose(modulation(levels + 2.0), modulation(levels), atol=1e-9)
    assert np.abs(modulation(faster(levels, 1.25)) - modulation(levels)).mean() > 0.05
