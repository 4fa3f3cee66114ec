"""READ THIS FIRST: the steps from a recipe to a bundle, in order. Each resumes where it stopped.

A work folder holds everything between the steps::

    people.jsonl  base/  voices/  faces/  faces_only/  typical/    population
    features/  law_scores.npz                                      features
    encoders/  renderer/  models/*.keras  calibration.npz          training
    models/*.tflite                                                quantization
    figures.json                                                   verification
    decision.json  cohort.npz                                      calibration
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edge.audio.logmel import LogMelSpec
from edge.bundle import Bundle
from edge.errors import ConfigError
from edge.manifest import DecisionInfo, ModelInfo, file_info
from edge.people.cohort import pack_cohort
from edge.schema import read_dataclass
from edge.storage import write_private
from edge.types import Float32

from .flatbuffer import TfliteModel
from .recipe import Recipe
from .training.dataset import Dataset, load_dataset

MODELS = {"voice_encoder": "features", "face_encoder": "image", "portrait_decoder": "embedding"}


def build(recipe: Recipe, work: Path, geometry: Path, out: Path, workers: int) -> Bundle:
    """Run every step; returns the finished bundle."""
    make_population(recipe, work, geometry, workers)
    train(recipe, work, workers)
    quantize_models(recipe, work)
    verify_models(recipe, work)
    calibrate_decision(recipe, work)
    return pack_bundle(recipe, work, out)


def make_population(recipe: Recipe, work: Path, geometry: Path, workers: int) -> None:
    """Draw the people and render their voices and faces."""
    from .population import pictures
    from .population.people import draw_people, save_people, split_of
    from .population.voices.base_voices import RECORDED_VOICES
    from .population.voices.clips import render_clips
    from .population.voices.pace import heard_base
    from .population.voices.resampled import draw_resampled
    from .population.voices.splits import allowed_voices, split_voices
    from .population.voices.tts import RECORDED, speak_base

    wanted = recipe.population
    people = draw_people(wanted, recipe.seed)
    seen = [p for p in people if p.kind == "paired"]
    strangers = [p for p in people if p.kind == "face_only"]
    pictures.render_people(seen, wanted.photos, work / "faces", geometry, workers)
    pictures.render_people(strangers, 1, work / "faces_only", geometry, workers)
    pictures.render_typical(wanted.typical, recipe.seed, work / "typical", geometry, workers)
    base = work / "base"
    for folder, voices in ((base, None), (base / RECORDED, RECORDED_VOICES)):
        spoken = speak_base(folder, wanted.base_utterances, workers=workers, voices=voices)
        for line in (*spoken.missing, *spoken.failures):
            print(line, file=sys.stderr)
    engines = split_voices(heard_base(base, workers))
    recorded = heard_base(base / RECORDED, workers)
    people += draw_resampled(wanted, recipe.seed, allowed_voices("train", engines, recorded))
    save_people(people, work / "people.jsonl")
    render_clips(
        people, base, wanted.clips, work / "voices", recipe.seed, workers,
        allowed=lambda p: allowed_voices(split_of(p, wanted), engines, recorded),
    )  # fmt: skip


def train(recipe: Recipe, work: Path, workers: int) -> None:
    """Train the encoders and the portrait decoder; leaves `.keras` files and calibration data."""
    from .networks.face import with_adapter
    from .networks.portrait import TAUGHT_STEEPNESS, portrait_decoder
    from .training.adapter import lesson_of, train_adapter, trunk_of
    from .training.agreement import train_together
    from .training.encoders import train_encoders
    from .training.likeness import tune_latent_head
    from .training.model import DIM
    from .training.portrait import train_latent_head

    data, spec = _features(recipe, work, workers), LogMelSpec()
    law = law_scores_of(data, work, workers) if recipe.training.law else None
    encoders = train_encoders(data, spec, recipe.training, work / "encoders", recipe.seed, law)
    draw = train_renderer(recipe, work)
    head, embeddings = train_latent_head(data, encoders, recipe.training, recipe.seed)
    tune_latent_head(
        head, draw, encoders.face, embeddings, recipe.training.likeness_steps, recipe.seed
    )
    face, steps = encoders.face, recipe.training.adapter_steps
    if steps:
        trunk, together = trunk_of(face), recipe.training.agreement_steps
        lesson = lesson_of(data, encoders, trunk, law, recipe.seed)
        taught = portrait_decoder(head, draw, DIM, TAUGHT_STEEPNESS)
        adapter = train_adapter(lesson, trunk, taught, steps, recipe.seed)
        train_together(lesson, trunk, head, draw, adapter, together, recipe.seed)
        face = with_adapter(face, adapter)
    decoder, folder = portrait_decoder(head, draw, DIM), work / "models"
    folder.mkdir(parents=True, exist_ok=True)
    for model in (encoders.voice, face, decoder):
        model.save(folder / f"{model.name}.keras")
    samples = _calibration(data, embeddings, decoder, recipe)
    np.savez(work / "calibration.npz", **samples)


def train_renderer(recipe: Recipe, work: Path) -> object:
    """Train the part of the decoder that needs no encoder; may run beside `train_encoders`."""
    from .population.pictures import load_typical
    from .training import portrait

    pictures = load_typical(work / "typical")
    return portrait.train_renderer(pictures, recipe.training, work / "renderer", recipe.seed)


def quantize_models(recipe: Recipe, work: Path) -> None:
    """Convert the three Keras models to full int8."""
    from .quantize import quantize

    with np.load(_need(work / "calibration.npz", "train")) as samples:
        for name, input_name in MODELS.items():
            path = _need(work / "models" / f"{name}.keras", "train")
            model = quantize(path, samples[name], input_name, path.with_suffix(".tflite"))
            size, macs = path.with_suffix(".tflite").stat().st_size, model.macs()
            print(f"{name}: {size / 1024:.0f} kB, {macs / 1e6:.1f} MMAC")
            versions = ", ".join(f"{op} v{v}" for op, v in model.operator_versions().items())
            print(f"    {versions}; needs TFLite {model.min_runtime() or 'of any age'}")


def verify_models(recipe: Recipe, work: Path, bundle: Bundle | None = None) -> dict[str, float]:
    """Measure float against int8, print and keep the figures, hold them to the recipe's gates.

    Args:
        recipe: its gates are applied.
        work: the work folder the models were trained in.
        bundle: measure this bundle's models instead of the work folder's.

    Raises:
        EarsightError: a gate is not reached.
    """
    from . import verify
    from .pack import TRAITS

    floats = verify.load_float_models(work / "models")
    tests = verify.test_set(load_dataset(work, recipe.population))
    figures = verify.measure(floats, tflite_files(work, bundle), tests, TRAITS)
    for name, value in figures.items():
        print(f"{name:32} {value:10.4f}")
    if bundle is None:
        write_private(work / "figures.json", (json.dumps(figures, indent=2) + "\n").encode())
    verify.check_gates(figures, recipe.gates)
    return figures


def calibrate_decision(recipe: Recipe, work: Path) -> DecisionInfo:
    """Measure on the validation split what scores mean, and print how that does on the test split.

    Raises:
        RuntimeUnavailable: no runtime for int8 models works here.
    """
    from .backends import runtimes
    from .calibration import decision_info, embed_splits
    from .open_set_figures import open_set_figures, table

    data = load_dataset(work, recipe.population)
    with runtimes(tflite_files(work)) as (backends, _):
        people = embed_splits(data, backends[0], ("validation", "test"), recipe.seed)
    info = decision_info(people["validation"], recipe.seed)
    print(*table(open_set_figures(info, people["test"], recipe.seed)), sep="\n")
    write_private(work / "cohort.npz", pack_cohort(people["validation"].cohort.vectors))
    write_private(work / "decision.json", (json.dumps(asdict(info), indent=2) + "\n").encode())
    return info


def pack_bundle(recipe: Recipe, work: Path, out: Path) -> Bundle:
    """Write the bundle and, beside it, the sample gallery."""
    from .detection.shipped import shipped_detector
    from .pack import pack, pack_gallery
    from .training.model import DIM

    figures = json.loads(_need(work / "figures.json", "verify").read_text(encoding="utf-8"))
    decision = read_dataclass(
        DecisionInfo,
        json.loads(_need(work / "decision.json", "calibrate").read_text(encoding="utf-8")),
        ConfigError,
    )
    cohort = _need(work / "cohort.npz", "calibrate").read_bytes()
    bundle = pack(
        out, tflite_files(work), figures, recipe, DIM, (decision, cohort), shipped_detector()
    )
    data = load_dataset(work, recipe.population)
    gallery = pack_gallery(out.with_name("sample.gallery"), bundle, data, recipe.gallery)
    size = sum(f.stat().st_size for f in out.iterdir())
    print(f"{out}: {size / 2**20:.2f} MiB, {len(gallery.people)} people in the sample gallery")
    return bundle


def tflite_files(work: Path, bundle: Bundle | None = None) -> dict[str, tuple[Path, ModelInfo]]:
    """Return model name → (file, manifest entry) of a bundle, or of a work folder."""
    if bundle is not None:
        models = bundle.manifest.models.items()
        return {name: (bundle.path / info.files["cpu"].file, info) for name, info in models}
    found = {}
    for name in MODELS:
        path = _need(work / "models" / f"{name}.tflite", "quantize")
        content = path.read_bytes()
        found[name] = (path, TfliteModel(content).model_info(file_info(path.name, content)))
    return found


def _features(recipe: Recipe, work: Path, workers: int) -> Dataset:
    from .training.features import make_features

    _need(work / "people.jsonl", "population")
    make_features(
        work / "voices", work / "features", recipe.training.augmentations, LogMelSpec(),
        recipe.seed, workers,
    )  # fmt: skip
    return load_dataset(work, recipe.population)


def law_scores_of(data: Dataset, work: Path, workers: int) -> Float32:
    """Return the ideal observer's scores of the training pairs (n, n), computed once."""
    from .population.law_scores import law_scores

    pairs = [data.people[row] for row in data.rows("paired", "train")]
    return law_scores(pairs, work / "law_scores.npz", workers)


def _calibration(
    data: Dataset, embeddings: Float32, decoder: Any, recipe: Recipe
) -> dict[str, Float32]:
    """Return samples of the training split for each model's quantizer, one face in four drawn."""
    from .training.adapter import framed_portraits
    from .training.batches import face_batch

    rng = np.random.default_rng([recipe.seed, 61])
    people = rng.choice(data.rows("paired", "train"), recipe.calibration)
    rows = [rng.choice(data.clips_of[p]) for p in people]
    versions = rng.integers(0, data.codes.shape[1], len(rows))
    codes = data.codes[rows, versions, ..., None].astype(np.float32) / 32.0
    # both ends of the code range, so that the input's scale comes out as exactly 1/32
    codes[0, 0, 0], codes[0, 0, 1] = -128 / 32, 127 / 32
    photos = face_batch(data, people, rng)
    embedded = embeddings[rng.choice(len(embeddings), recipe.calibration)]
    drawn = framed_portraits(decoder, embedded[::4])
    return {
        "voice_encoder": codes,
        "face_encoder": np.concatenate([photos[len(drawn) :], drawn]),
        "portrait_decoder": embedded,
    }


def _need(path: Path, step: str) -> Path:
    if not path.exists():
        raise ConfigError(f"{path}: not there yet; run: earsight-convert {step}")
    return path
