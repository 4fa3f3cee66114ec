"""The parts of the report on cases whose answer is known."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from convert.population.law import draw_person
from convert.population.pictures import TypicalPictures
from convert.report import degrade
from convert.report.bootstrap import estimate, mean_of, plain, resamples
from convert.report.calibration import probability, real_value, reliability
from convert.report.portraits import nearest_typical, what_is_read
from convert.report.reader import Read
from convert.report.real_voices import load_labels
from convert.report.speech2face import found_among
from edge.errors import ConfigError
from edge.manifest import TraitInfo

RATE = degrade.RATE


@pytest.fixture
def speech() -> np.ndarray:
    """Return three seconds of noise that comes and goes, peak 0.6."""
    rng = np.random.default_rng(0)
    sound = rng.normal(size=3 * RATE) * (1 + np.sin(np.arange(3 * RATE) / 2000))
    return (0.6 * sound / np.abs(sound).max()).astype(np.float32)


def test_the_first_row_is_the_sample_and_every_row_has_n_people() -> None:
    weights = resamples(30, 50)
    assert weights.shape == (51, 30)
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 30).all()


def test_an_interval_holds_what_theory_says() -> None:
    values = np.random.default_rng(1).normal(size=400)
    found = mean_of(values, resamples(400))
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 / 20, rel=0.15)


def test_people_without_a_value_do_not_count() -> None:
    found = mean_of(np.array([1.0, np.nan, 0.0]), resamples(3))
    assert (found.value, found.n) == (0.5, 2)


def test_json_is_plain() -> None:
    found = plain({5: [estimate(np.array([0.1234567]), 3), np.float32(0.5)], "x": None})
    assert found == {
        "5": [{"value": 0.12346, "low": 0.12346, "high": 0.12346, "n": 3}, 0.5],
        "x": None,
    }


def test_retrieval_from_a_smaller_gallery_against_drawing_it() -> None:
    rng = np.random.default_rng(2)
    better, others, gallery = 7, 40, 12
    drawn = [np.sum(rng.permutation(others)[: gallery - 1] < better) for _ in range(20_000)]
    found = found_among(np.array([float(better)]), others, gallery, (1, 2, 5))[0]
    assert found == pytest.approx([np.mean(np.array(drawn) < k) for k in (1, 2, 5)], abs=0.015)
    whole = found_among(np.array([0.0, 3.0]), 9, 10, (1, 4))
    assert whole.tolist() == [[1.0, 1.0], [0.0, 1.0]]


@pytest.mark.parametrize("name", list(degrade.CONDITIONS))
def test_damage_is_repeatable_and_keeps_length(name: str, speech: np.ndarray) -> None:
    pytest.importorskip("soundfile", reason="the [device] extra is not installed")
    others = np.random.default_rng(3).normal(size=(6, len(speech))).astype(np.float32)
    one, two = (
        degrade.CONDITIONS[name](speech, np.random.default_rng(4), others) for _ in range(2)
    )
    assert one.shape == speech.shape
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, speech)


def test_noise_has_the_level_it_says(speech: np.ndarray) -> None:
    for snr_db in (20.0, 0.0):
        noisy = degrade.noise(speech, np.random.default_rng(5), speech[None], snr_db)
        gain = float(noisy @ speech) / float(speech @ speech)
        left = noisy / gain - speech
        assert 20 * np.log10(speech.std() / left.std()) == pytest.approx(snr_db, abs=0.5)


def test_the_telephone_lets_only_its_band_through(speech: np.ndarray) -> None:
    heard = degrade.telephone(speech, np.random.default_rng(6), speech[None])
    power = np.abs(np.fft.rfft(heard)) ** 2
    frequency = np.fft.rfftfreq(len(heard), 1 / RATE)
    inside = power[(frequency > 400) & (frequency < 3000)].mean()
    assert power[frequency > 5000].mean() < 1e-3 * inside
    assert power[frequency < 100].mean() < 1e-3 * inside


def test_the_codecs_have_the_rates_they_say(speech: np.ndarray) -> None:
    soundfile = pytest.importorskip("soundfile", reason="the [device] extra is not installed")
    for kind, codec, level, mode, kbit in (
        ("MP3", "MPEG_LAYER_III", degrade.MP3_LEVEL, "CONSTANT", 16),
        ("OGG", "OPUS", degrade.OPUS_LEVEL, None, 9),
    ):
        file = io.BytesIO()
        soundfile.write(
            file, speech, RATE, format=kind, subtype=codec, compression_level=level,
            bitrate_mode=mode,
        )  # fmt: skip
        assert file.tell() * 8 / 3 / 1000 == pytest.approx(kbit, rel=0.15)


def test_calibrated_and_overconfident_probabilities() -> None:
    rng = np.random.default_rng(7)
    p = rng.uniform(size=4000)
    true = rng.random(4000) < p
    speaker = np.arange(4000) % 200
    found = reliability(p, true, speaker, resamples(200))
    assert found["ece"].value < 0.03
    assert found["ece"].n == 200
    assert found["confidence_ece"].value < 0.03
    assert sum(b["count"] for b in found["bins"]) == 4000
    sure = reliability(np.where(true, 0.99, 0.5), true, speaker, resamples(200))
    assert sure["ece"].value == pytest.approx(0.5 * (~true).mean() + 0.01 * true.mean(), abs=1e-6)


def test_calibration_of_a_probability_and_of_the_confidence_in_what_it_says() -> None:
    alike = reliability(np.full(4, 0.7), np.arange(4) > 0, np.arange(4), resamples(4))
    assert alike["ece"].value == alike["confidence_ece"].value == pytest.approx(0.75 - 0.7)
    # a woman taken for a man and one taken for a woman: one of two is right at .7
    mixed = reliability(np.array([0.3, 0.7]), np.array([True, True]), np.arange(2), resamples(2))
    assert mixed["ece"].value == pytest.approx((0.7 + 0.3) / 2)
    assert mixed["confidence_ece"].value == pytest.approx(0.7 - 0.5)


def test_links_are_undone() -> None:
    y = np.array([0.0, 1.0], np.float32)
    assert probability(TraitInfo(0.0, 1.0, "logistic"), y)[0] == 0.5
    assert real_value(TraitInfo(1.0, 2.0, "exp"), y) == pytest.approx(np.exp([1.0, 3.0]))
    assert real_value(TraitInfo(40.0, 10.0, "identity"), y) == pytest.approx([40.0, 50.0])
    with pytest.raises(ValueError, match="no probability"):
        probability(TraitInfo(0.0, 1.0, "exp"), y)


def test_what_is_read_is_counted_against_the_truth() -> None:
    people = [p for i in range(60) if (p := draw_person("paired", i, 9)).age_class == "adult"][:20]
    female = np.array([0.0 if p.male else 1.0 for p in people], np.float32)
    years = np.array([p.years for p in people], np.float32)
    right = what_is_read(Read(female, years, None), people, resamples(20))
    assert right["sex_accuracy"].value == right["age_band_accuracy"].value == 1.0
    assert right["age_error_years"].value == pytest.approx(0.0, abs=1e-5)
    table = np.array(right["sex_confusion"])
    assert table.sum() == 20
    assert table[0, 0] == female.sum()
    unsure = what_is_read(Read(np.full(20, 0.5, np.float32), years, None), people, resamples(20))
    assert np.array(unsure["sex_confusion"])[:, 1].sum() == 20


def test_the_type_of_a_person_has_their_sex_and_age() -> None:
    female = np.array([0, 0, 1, 1, 0.5], np.float32)
    years = np.array([20, 70, 20, 70, 20], np.float32)
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((128, 128, 3), np.uint8)
    typical = TypicalPictures(female, years, np.zeros(5, np.float32), images)
    people = [draw_person("paired", i, 9) for i in range(30)]
    for person, image in zip(people, nearest_typical(people, typical), strict=True):
        chosen = int(image[0, 0, 0])
        assert female[chosen] == float(not person.male)
        assert (years[chosen] > 45) == (person.years > 45)


def test_labels_of_librispeech_and_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "SPEAKERS.TXT").write_text("; comment\n14 | F | train | 25 | Kristin\n16|M|x|1|y\n")
    assert load_labels(tmp_path, None) == {"14": True, "16": False}
    own = tmp_path / "mine.csv"
    own.write_text("speaker,sex\nada,f\nbob,M\n")
    assert load_labels(tmp_path, own) == {"ada": True, "bob": False}
    own.write_text("nothing\n")
    with pytest.raises(ConfigError, match="names no speaker"):
        load_labels(tmp_path, own)
    with pytest.raises(ConfigError, match="give --labels"):
        load_labels(tmp_path / "nowhere", None)


def test_landmarks_lie_where_the_face_is(shared: Path) -> None:
    pytest.importorskip("numba", reason="the [convert] extra is not installed")
    from convert.report.landmarks import NAMES, PUBLISHED, measure, true_landmarks

    geometry = shared / "data" / "makehuman" / "slim_z.npz"
    people = [draw_person("paired", i, 3) for i in range(8)]
    points = np.array([true_landmarks((p, geometry)) for p in people])
    at = {name: points[:, i] for i, name in enumerate(NAMES)}
    assert (points > 0).all()
    assert (points < 128).all()
    assert (np.abs(at["n"][:, 0] - 64) < 4).all()
    downwards = ("n", "sn", "ls", "sto", "li", "gn")
    for above, below in pairwise(downwards):
        assert (at[above][:, 1] < at[below][:, 1]).all(), below
    for name in ("en", "ch", "go", "zy"):  # the left side of a face is to the picture's right
        assert (at[f"{name} left"][:, 0] > at[f"{name} right"][:, 0]).all(), name
    found = measure(points)
    assert set(found) == set(PUBLISHED)
    assert all((values > 0).all() and values.std() > 0 for values in found.values())
