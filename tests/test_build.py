"""The whole chain on a handful of people: population, training, int8, figures, bundle, hearing."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from convert.recipe import GatesRecipe, Recipe, load_recipe

pytestmark = pytest.mark.convert


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    """Return the default recipe shrunk to seconds."""
    default = load_recipe(Path("default"))
    return dataclasses.replace(
        default,
        name="small",
        calibration=16,
        gallery=4,
        population=dataclasses.replace(
            default.population, paired=24, voice_only=3, resampled=4, face_only=4, clips=2,
            photos=2, typical=12, base_utterances=1, validation=0.2, test=0.3,
        ),
        training=dataclasses.replace(
            default.training, augmentations=1, face_steps=2, weight_steps=2, joint_steps=4,
            alignment_steps=2, batch=8, latent_steps=20, renderer_steps=4, likeness_steps=2,
            adapter_steps=2, agreement_steps=2,
        ),
        gates=GatesRecipe(0.0, 1.0, 1.0, 1.0, 0.0, 5.0),
    )  # fmt: skip


@pytest.fixture(scope="module")
def work(recipe: Recipe, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the chain once."""
    pytest.importorskip("tensorflow", reason="the [convert] extra is not installed")
    pytest.importorskip("pyworld", reason="the [convert] extra is not installed")
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    from convert.build import build

    work = tmp_path_factory.mktemp("work")
    geometry = shared / "data" / "makehuman" / "slim_z.npz"
    build(recipe, work, geometry, work / "small.bundle", workers=2)
    return work


def test_the_bundle_keeps_the_contract(work: Path, recipe: Recipe) -> None:
    from edge.bundle import load_bundle

    manifest = load_bundle(work / "small.bundle").manifest
    assert manifest.models["voice_encoder"].macs < 45e6
    assert manifest.models["face_encoder"].macs < 120e6
    assert manifest.models["portrait_decoder"].macs < 150e6
    parameters = sum(m.files["cpu"].bytes for m in manifest.models.values())
    assert parameters < 6.5 * 2**20
    # QUANTIZE where the concatenated latents have other scales than their parts
    assert set(manifest.models["portrait_decoder"].operators) - {"QUANTIZE"} == {
        "CONCATENATION", "FULLY_CONNECTED", "RESHAPE", "TANH",
    }  # fmt: skip
    assert json.loads((work / "small.bundle" / "recipe.json").read_text()) == json.loads(
        recipe.json()
    )


def test_int8_follows_float_output_by_output(work: Path, recipe: Recipe) -> None:
    """Each named output is the right one: a swap of two traits would show here."""
    from convert import verify
    from convert.backends import run_int8
    from convert.build import tflite_files
    from convert.training.dataset import load_dataset
    from edge.runtime import open_model

    floats = verify.load_float_models(work / "models")
    tests = verify.test_set(load_dataset(work, recipe.population))
    path, info = tflite_files(work)["voice_encoder"]
    features = tests.features.reshape(-1, *tests.features.shape[2:])
    int8 = run_int8(open_model(path, info, "models.voice_encoder"), features)
    reference = floats.voice(features, training=False)
    for name, value in int8.items():
        wanted = np.asarray(reference[name])
        error = np.abs(value - wanted).mean()
        assert error < 0.35 * wanted.std() + 4 * info.outputs[name].scale, name


def test_a_second_build_does_nothing_over(
    work: Path, recipe: Recipe, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from convert.build import make_population

    before = {p: p.stat().st_mtime_ns for p in (work / "faces").iterdir()}
    geometry = shared / "data" / "makehuman" / "slim_z.npz"
    make_population(recipe, work, geometry, workers=2)
    assert {p: p.stat().st_mtime_ns for p in (work / "faces").iterdir()} == before


def test_the_gates_hold(work: Path, recipe: Recipe) -> None:
    from convert.verify import check_gates
    from edge.errors import EarsightError

    figures = json.loads((work / "figures.json").read_text())
    check_gates(figures, recipe.gates)
    with pytest.raises(EarsightError, match="cosine_voice"):
        check_gates(figures, dataclasses.replace(recipe.gates, cosine=1.01))


def test_the_device_hears_with_it(
    work: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge.cli import main

    voice = str(next((shared / "data" / "voices" / "1688").glob("*.flac")))
    bundle, gallery = str(work / "small.bundle"), str(work / "sample.gallery")
    code = main(["hear", voice, "--bundle", bundle, "--gallery", gallery, "--json"])
    result = json.loads(capsys.readouterr().out)
    assert code == 0
    assert 2 <= len(result["utterances"][0]["matches"]) <= 4


def test_the_population_as_voxceleb_gives_the_papers_table(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rendered people under the published names: train, convert, and evaluate on the lists."""
    from convert.cli import main
    from convert.population.people import load_people
    from convert.population.pictures import load_pictures
    from convert.population.voices.clips import load_clips
    from tests.fake_voxceleb import Likeness, lay_out
    from tests.tiny_encoders import tiny_encoders

    audio, owners = load_clips(work / "voices")
    pictures = load_pictures(work / "faces")
    women = {person.id for person in load_people(work / "people.jsonl") if not person.male}
    likenesses = [
        Likeness(name in women, audio[owners == name] / 32768.0, [canonical, *photos])
        for name, canonical, photos in zip(
            pictures.ids, pictures.canonical, pictures.photos, strict=True
        )
        if (owners == name).sum() == 2  # the rare utterance without enough speech gives no clip
    ]
    data = tmp_path / "voxceleb"
    everybody = lay_out(data, per_letter=2, likenesses=likenesses)
    assert len(likenesses) >= sum(len(people) for people in everybody.values())

    monkeypatch.setattr("convert.fitting.networks.build_networks", tiny_encoders)
    given = ["--data", str(data), "--lists", str(data / "lists"), "--workers", "2"]
    small, fitted = tmp_path / "small", str(tmp_path / "fitted.bundle")
    fit = ["fit", "shape-of-sound", "--networks", "small", "--steps", "6", "--batch", "12"]
    assert main([*fit, *given, "--work", str(tmp_path / "fit"), "--out", str(small)]) == 0
    assert "12 people, 24 voices, 36 faces" in capsys.readouterr().out
    voice = ["import", str(small / "voice.keras"), "--layout", "shape-of-sound-student"]
    real = ["--voices", str(data / "vox1"), "--faces", str(data / "vgg"), "--samples", "4"]
    face = ["--add", f"face={small / 'face.keras'}", "--min-cosine", "0.9", "--out", fitted]
    assert main([*voice, *face, *real]) == 0
    for bundle in (fitted, str(work / "small.bundle")):  # trained on the lists; on the population
        table = tmp_path / "table.json"
        kept = ["--embeddings", str(tmp_path / Path(bundle).stem), "--out", str(table)]
        assert main(["evaluate", bundle, *given, *kept]) == 0
        figures = json.loads(table.read_text())["figures"]
        assert len(figures) == 10
        assert all(figure["counted"] and 0.0 < figure["value"] <= 1.0 for figure in figures)


def test_speech2face_as_published_is_compared_with_what_ships(work: Path, recipe: Recipe) -> None:
    """The table says once what it is about, and has one row for each method."""
    from convert import portrait_comparison as comparison

    scale = comparison.Scale(decoder_steps=2, voice_steps=2)
    table, sheet = comparison.compare_portraits(recipe, work, scale)
    assert table.count("# Portraits") == table.count("| portrait |") == 1
    typical = (comparison.SHIPPED, comparison.FROM_TRAITS, comparison.NEAREST)
    for method in (*comparison.METHODS, *typical):
        assert table.count(f"\n| {method} | ") == 1
    assert sheet.startswith(b"\xff\xd8")  # JPEG


def test_the_shortfall_of_trained_encoders_is_told(
    work: Path, tmp_path: Path, recipe: Recipe
) -> None:
    """The command writes a row for each quantity, with figures that are shares."""
    from convert import shortfall
    from convert.cli import main

    (tmp_path / "small.json").write_text(recipe.json())
    out = tmp_path / "shortfall.md"
    given = ["--recipe", str(tmp_path / "small.json"), "--work", str(work), "--out", str(out)]
    assert main(["shortfall", *given]) == 0
    rows = [line for line in out.read_text().splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 1 + len(shortfall.FACE) + len(shortfall.VOICE) + 3 + 1
    for row in rows:
        figures = [float(cell) for cell in row.split("|")[3:-1]]
        assert len(figures) == 4
        assert all(0.0 <= figure <= 1.0 for figure in figures)


def test_a_crash_of_the_converter_is_one_clear_error(work: Path, tmp_path: Path) -> None:
    from convert.quantize import quantize
    from edge.errors import EarsightError

    broken = tmp_path / "voice_encoder.keras"
    broken.write_bytes(b"not a model")
    samples = np.zeros((2, 256, 64, 1), np.float32)
    with pytest.raises(EarsightError, match=r"voice_encoder\.keras: the TFLite converter failed"):
        quantize(broken, samples, "features", tmp_path / "out.tflite")


def test_a_layer_that_is_always_zero_is_refused(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow", reason="the [convert] extra is not installed")
    from convert.quantize import quantize
    from edge.errors import EarsightError

    given = tf.keras.layers.Input((4,), name="x")
    dead = tf.keras.layers.Dense(3, "relu", kernel_initializer="zeros", bias_initializer="zeros")
    out = tf.keras.layers.Dense(2, name="y")(dead(given))
    tf.keras.Model(given, {"y": out}).save(tmp_path / "dead.keras")
    samples = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    with pytest.raises(EarsightError, match="degenerate scale"):
        quantize(tmp_path / "dead.keras", samples, "x", tmp_path / "dead.tflite")
