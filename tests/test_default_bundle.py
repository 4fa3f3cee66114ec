"""The bundle that ships: small, whole, and right about real people it has never heard."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.audio.file import read_recording
from edge.bundle import default_bundle_path, load_bundle
from edge.face.gallery import sample_gallery_path
from edge.face.gallery_file import load_gallery
from edge.pipeline import Ear
from edge.types import Sighting

pytest.importorskip("soundfile", reason="the [device] extra is not installed")

READERS = {"1688": "man", "2414": "man", "1998": "woman", "533": "woman"}  # LibriSpeech
SEX_OF = {1.0: "woman", 0.5: "androgynous", 0.0: "man"}


@pytest.fixture(scope="module")
def ear() -> Ear:
    bundle = load_bundle(default_bundle_path())
    return Ear(bundle, load_gallery(sample_gallery_path()))


@pytest.fixture(scope="module")
def heard(ear: Ear, shared: Path) -> dict[str, list[Sighting]]:
    """Every utterance of each reader."""
    folders = shared / "data" / "voices"
    return {
        reader: [
            sighting
            for path in sorted((folders / reader).glob("*.flac"))
            for sighting in ear.hear(read_recording(path))
        ]
        for reader in READERS
    }


def female(sightings: list[Sighting]) -> float:
    return float(np.mean([s.voice.traits.female for s in sightings]))


def test_it_is_small_and_carries_everything() -> None:
    path = default_bundle_path()
    manifest = load_bundle(path).manifest
    assert sum(f.stat().st_size for f in path.iterdir()) <= 6e6
    assert set(manifest.models) == {
        "voice_encoder",
        "face_encoder",
        "portrait_decoder",
        "face_detector",
    }
    assert manifest.models["voice_encoder"].macs <= 45e6
    assert manifest.models["face_encoder"].macs <= 120e6
    assert manifest.models["portrait_decoder"].macs <= 150e6
    assert "not predicted" in manifest.model_card
    assert manifest.licence


def test_its_published_figures_reach_the_gates_of_its_recipe() -> None:
    path = default_bundle_path()
    gates = json.loads((path / "recipe.json").read_text())["gates"]
    measured = load_bundle(path).manifest.measured
    for direction in ("v2f", "f2v"):
        key = f"matching_1_2_{direction}_U"
        assert measured[f"{key}_int8"] >= gates["matching_1_2"] >= 0.8
        loss = measured[f"{key}_float"] - measured[f"{key}_int8"]
        assert loss <= gates["int8_matching_loss"] <= 0.003
    assert measured["auc_float"] - measured["auc_int8"] <= gates["int8_auc_loss"] <= 0.003
    assert measured["runtimes_difference"] <= gates["runtimes_difference"] <= 0.002
    assert min(measured["cosine_voice"], measured["cosine_face"]) >= gates["cosine"] >= 0.995
    assert measured["portrait_psnr_db"] >= gates["portrait_psnr_db"] >= 35


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((default_bundle_path() / "report.json").read_text())
    return content


def test_the_report_in_it_is_about_it(report: dict[str, Any]) -> None:
    manifest = load_bundle(default_bundle_path()).manifest
    assert report["bundle"]["space_id"] == manifest.embedding.space_id
    for name, sha256 in report["bundle"]["models"].items():
        assert manifest.models[name].files["cpu"].sha256 == sha256
    for metric in ("matching_1_2", "matching_1_n", "auc", "eer", "map", "recall_at_k"):
        for direction in ("v2f", "f2v"):
            for stratum in ("U", "G", "GA"):
                row = report["results"][metric][direction][stratum]
                assert set(row) == {"oracle", "oracle_exact", "float", "litert", "tflite_runtime"}
                assert all(set(cell) >= {"value", "low", "high", "n"} for cell in row.values())


@pytest.mark.parametrize("direction", ["v2f", "f2v"])
@pytest.mark.parametrize("stratum", ["U", "G"])
def test_matching_lies_near_the_ideal_observer(
    report: dict[str, Any], direction: str, stratum: str
) -> None:
    """Within five points of whoever knows every parameter of the sound."""
    row = {k: v["value"] for k, v in report["results"]["matching_1_2"][direction][stratum].items()}
    for backend in ("float", "litert", "tflite_runtime"):
        assert row["oracle"] - 0.05 <= row[backend] <= row["oracle"]
    assert row["float"] - row["litert"] <= 0.003
    assert abs(row["litert"] - row["tflite_runtime"]) <= 0.002


def test_the_readme_tells_these_figures() -> None:
    """Rows `| what | key | float | int8 | ideal observer |` between the figure marks."""
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    table = text.split("<!-- figures -->")[1].split("<!-- /figures -->")[0]
    measured = load_bundle(default_bundle_path()).manifest.measured
    rows = re.findall(r"\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \| ([\d.]+|–) \|", table)
    assert len(rows) >= 5
    for key, *cells in rows:
        for suffix, cell in zip(("float", "int8", "oracle_acoustic"), cells, strict=True):
            if cell != "–":
                assert cell == f"{measured[f'{key}_{suffix}']:.3f}", f"{key}_{suffix}"


def test_the_sample_gallery_fits_and_nobody_in_it_is_real() -> None:
    gallery = load_gallery(
        sample_gallery_path(), load_bundle(default_bundle_path()).manifest.embedding.space_id
    )
    assert len(gallery.people) == 24
    assert all("synthetic" in person.name for person in gallery.people)


def test_the_sex_of_real_readers(heard: dict[str, list[Sighting]]) -> None:
    right = [(female(heard[r]) > 0.5) == (sex == "woman") for r, sex in READERS.items()]
    assert sum(right) >= 3


def test_a_wrong_sex_is_never_told_with_much_confidence(heard: dict[str, list[Sighting]]) -> None:
    for reader, sex in READERS.items():
        for p in (s.voice.traits.female for s in heard[reader]):
            assert (p > 0.2) if sex == "woman" else (p < 0.8)


def test_no_real_reader_is_called_a_child_or_old(heard: dict[str, list[Sighting]]) -> None:
    """All four are adults of working age, as far as their recordings tell."""
    for sightings in heard.values():
        for traits in (s.voice.traits for s in sightings):
            assert traits.child < 0.5
            assert traits.age_years is not None
            assert traits.age_interval is not None
            low, high = traits.age_interval
            assert 16 < low < traits.age_years < high
            assert 20 < traits.age_years < 65


def test_the_pitch_of_real_readers_is_theirs(heard: dict[str, list[Sighting]]) -> None:
    """Against DIO, an independent estimator: within two semitones in the median reader."""
    pyworld = pytest.importorskip("pyworld", reason="the [convert] extra is not installed")
    errors = []
    for sightings in heard.values():
        for sighting in sightings:
            samples = sighting.utterance.samples.astype(np.float64)
            f0, _ = pyworld.dio(samples, 16000, f0_floor=60.0, f0_ceil=400.0)
            truth = np.median(f0[f0 > 0])
            errors.append(12 * np.log2(sighting.voice.traits.f0_hz / truth))
    assert np.median(np.abs(errors)) < 2.0


def test_portraits_agree_with_the_traits(heard: dict[str, list[Sighting]], shared: Path) -> None:
    """The typical rendering nearest to each portrait has the sex the trait says."""
    pytest.importorskip("numba", reason="the [convert] extra is not installed")
    from convert.population.faces.appearance import typical_face
    from convert.population.faces.geometry import load_geometry
    from convert.population.faces.render import render

    geometry = load_geometry(shared / "data" / "makehuman" / "slim_z.npz")
    typical = {
        (sex, years): render(typical_face(sex, years, 0.0), geometry).astype(float)
        for sex in SEX_OF
        for years in (20.0, 35.0, 50.0, 65.0, 80.0)
    }
    agree = []
    for sightings in heard.values():
        for sighting in sightings:
            assert sighting.portrait is not None
            drawn = sighting.portrait.pixels.astype(float)
            distance = {key: np.abs(drawn - image).mean() for key, image in typical.items()}
            sex, _ = min(distance, key=lambda key: distance[key])
            p = sighting.voice.traits.female
            allowed = {sex for sex in SEX_OF if abs(sex - p) <= 0.55}
            agree.append(sex in allowed)
    assert np.mean(agree) >= 0.85


def test_debians_own_voice_is_a_woman(ear: Ear) -> None:
    sounds = sorted(Path("/usr/share/sounds/alsa").glob("*.wav"))
    speech = [path for path in sounds if path.name != "Noise.wav"]
    if not speech:
        pytest.skip("Debian's alsa-utils, which has the recordings, is not installed")
    command = [sys.executable, "-m", "edge", "hear", "--join", "--json", *map(str, speech)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (utterance,) = json.loads(done.stdout)["utterances"][:1]
    assert utterance["traits"]["female"] > 0.5
