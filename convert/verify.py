"""Float against int8 on people no network has seen: the figures a bundle ships with, and its gates.

Every figure compares one clean clip of 2.575 s with one varied photo, averaged over four draws of
both, on the test split. int8 runs through `edge.runtime`, the code the device runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.embed.quantization import dequantize, quantize
from edge.errors import EarsightError
from edge.manifest import ModelInfo, TraitInfo
from edge.runtime import Model, open_model
from edge.types import Float32, UInt8

from .metrics import (
    Bool,
    auc,
    matching_1_2,
    matching_of_scores,
    mean_cosine,
    psnr_db,
    sharpness,
    unit,
)
from .population.law import Person
from .population.oracle import acoustic_scores, exact_scores
from .recipe import GatesRecipe
from .training.batches import centre_crop
from .training.dataset import Dataset, Index

DRAWS = 4
PORTRAITS = 64  # test voices whose portraits are compared


@dataclass(frozen=True, slots=True)
class FloatModels:
    """The trained Keras models, the reference of every comparison."""

    voice: Any
    face: Any
    decoder: Any


@dataclass(frozen=True, slots=True)
class TestSet:
    """What the figures are computed from: draw k pairs clip k with photo k of each person."""

    rows: Index  # of the dataset
    people: tuple[Person, ...]
    features: Float32  # (draws, n, frames, mels, 1)
    faces: Float32  # (draws, n, 112, 112, 3), 0..1
    female: Float32  # (n,)
    child: Float32  # (n,)


def test_set(data: Dataset) -> TestSet:
    """Collect the test split."""
    people = data.rows("paired", "test")
    features, faces = [], []
    for k in range(DRAWS):
        clips = [data.clips_of[p][k % len(data.clips_of[p])] for p in people]
        features.append(data.codes[clips, 0, ..., None].astype(np.float32) / 32.0)
        pictures = [data.pictures[p] for p in people]
        shots = np.array([p[1 + k % (len(p) - 1)] for p in pictures if p is not None])
        faces.append(centre_crop(shots))
    return TestSet(
        people,
        tuple(data.people[p] for p in people),
        np.array(features),
        np.array(faces),
        data.labels.female[people],
        (data.labels.age_class[people] == 0).astype(np.float32),
    )


def load_float_models(folder: Path) -> FloatModels:
    """Load the `.keras` files that training left in `folder`."""
    import tensorflow as tf

    from .networks import portrait

    portrait.upsample()  # registers the decoder's layer
    names = ("voice_encoder", "face_encoder", "portrait_decoder")
    return FloatModels(
        *(tf.keras.models.load_model(folder / f"{name}.keras", compile=False) for name in names)
    )


def measure(
    floats: FloatModels,
    files: Mapping[str, tuple[Path, ModelInfo]],
    tests: TestSet,
    traits: Mapping[str, TraitInfo],
) -> dict[str, float]:
    """Return every figure; see `README.md`, "What it measures", for their names."""
    models = {n: open_model(path, info, f"models.{n}") for n, (path, info) in files.items()}
    figures: dict[str, float] = {"people": float(len(tests.people))}
    same_sex = tests.female[:, None] == tests.female[None]
    voices: dict[str, list[Float32]] = {"float": [], "int8": []}
    faces: dict[str, list[Float32]] = {"float": [], "int8": []}
    heard: dict[str, list[dict[str, Float32]]] = {"float": [], "int8": []}
    for k in range(DRAWS):
        heard["float"].append(_run_float(floats.voice, tests.features[k]))
        heard["int8"].append(run_int8(models["voice_encoder"], tests.features[k]))
        for backend in ("float", "int8"):
            voices[backend].append(heard[backend][k]["embedding"])
        faces["float"].append(_run_float(floats.face, tests.faces[k])["embedding"])
        faces["int8"].append(run_int8(models["face_encoder"], tests.faces[k])["embedding"])
    for backend in ("float", "int8"):
        pairs = list(zip(voices[backend], faces[backend], strict=True))
        for name, value in _matching(pairs, same_sex):
            figures[f"{name}_{backend}"] = value
        for name, value in _trait_accuracy(heard[backend], tests):
            figures[f"{name}_{backend}"] = value
    figures.update(_oracles(tests, same_sex))
    figures["cosine_voice"] = mean_cosine(
        np.concatenate(voices["float"]), np.concatenate(voices["int8"])
    )
    figures["cosine_face"] = mean_cosine(
        np.concatenate(faces["float"]), np.concatenate(faces["int8"])
    )
    for name in traits:
        both = [np.concatenate([h[name] for h in heard[b]]) for b in ("float", "int8")]
        figures[f"{name}_error_int8"] = float(np.abs(both[0] - both[1]).mean() * traits[name].std)
    queries = unit(voices["float"][0][:PORTRAITS])
    drawn = to_pixels(_run_float(floats.decoder, queries)["portrait"])
    drawn_int8 = to_pixels(run_int8(models["portrait_decoder"], queries)["portrait"])
    psnr = psnr_db(drawn, drawn_int8)
    figures["portrait_psnr_db"] = float(psnr.mean())
    figures["portrait_psnr_db_p5"] = float(np.percentile(psnr, 5))
    figures["portrait_sharpness_float"] = sharpness(drawn)
    figures["portrait_sharpness_int8"] = sharpness(drawn_int8)
    return {name: round(value, 5) for name, value in figures.items()}


def failures(figures: Mapping[str, float], gates: GatesRecipe) -> list[str]:
    """Return one line for each gate that is not reached."""
    loss = figures["matching_1_2_v2f_U_float"] - figures["matching_1_2_v2f_U_int8"]
    checks = [
        ("matching_1_2_v2f_U_int8", figures["matching_1_2_v2f_U_int8"], gates.matching_1_2),
        ("cosine_voice", figures["cosine_voice"], gates.cosine),
        ("cosine_face", figures["cosine_face"], gates.cosine),
        ("portrait_psnr_db", figures["portrait_psnr_db"], gates.portrait_psnr_db),
    ]
    found = [f"{n} is {v:.4f}, the recipe asks for {gate}" for n, v, gate in checks if v < gate]
    if loss > gates.int8_matching_loss:
        found.append(
            f"int8 loses {loss:.4f} of matching, the recipe allows {gates.int8_matching_loss}"
        )
    return found


def check_gates(figures: Mapping[str, float], gates: GatesRecipe) -> None:
    """Raise EarsightError naming every gate that is not reached."""
    missed = failures(figures, gates)
    if missed:
        raise EarsightError("gates not reached: " + "; ".join(missed))


def run_int8(model: Model, inputs: Float32) -> dict[str, Float32]:
    """Run real inputs (n, ...) one by one; returns real outputs (n, ...) by name."""
    (name,) = model.inputs
    codes = quantize(inputs, model.inputs[name])
    rows = [model.run(**{name: codes[i : i + 1]}) for i in range(len(codes))]
    return {
        out: dequantize(np.concatenate([row[out] for row in rows]), info)
        for out, info in model.outputs.items()
    }


def to_pixels(images: Float32) -> UInt8:
    """Turn real images 0..1 to 8 bits."""
    return np.asarray(np.rint(np.clip(images, 0.0, 1.0) * 255.0), dtype=np.uint8)


def _run_float(model: Any, inputs: Float32, batch: int = 64) -> dict[str, Float32]:
    parts = [model(inputs[i : i + batch], training=False) for i in range(0, len(inputs), batch)]
    return {name: np.concatenate([np.asarray(p[name]) for p in parts]) for name in parts[0]}


def _matching(pairs: list[tuple[Float32, Float32]], same_sex: Any) -> Iterator[tuple[str, float]]:
    """Yield 1:2 matching (U unrestricted, G same sex) in both directions, and the AUC."""

    def mean(values: list[float]) -> float:
        return float(np.mean(values))

    yield "matching_1_2_v2f_U", mean([matching_1_2(v, f) for v, f in pairs])
    yield "matching_1_2_v2f_G", mean([matching_1_2(v, f, same_sex) for v, f in pairs])
    yield "matching_1_2_f2v_U", mean([matching_1_2(f, v) for v, f in pairs])
    yield "matching_1_2_f2v_G", mean([matching_1_2(f, v, same_sex) for v, f in pairs])
    yield "auc", mean([auc(v, f) for v, f in pairs])


def _oracles(tests: TestSet, same_sex: Bool) -> dict[str, float]:
    """Return what ideal observers reach on the same people (population/oracle.py)."""
    figures = {}
    for name, scores in (
        ("oracle_exact", exact_scores(tests.people)),
        ("oracle_acoustic", acoustic_scores(tests.people)),
    ):
        figures[f"matching_1_2_v2f_U_{name}"] = matching_of_scores(scores)
        figures[f"matching_1_2_v2f_G_{name}"] = matching_of_scores(scores, same_sex)
        figures[f"matching_1_2_f2v_U_{name}"] = matching_of_scores(scores.T)
        figures[f"matching_1_2_f2v_G_{name}"] = matching_of_scores(scores.T, same_sex)
    return figures


def _trait_accuracy(heard: list[dict[str, Float32]], tests: TestSet) -> Iterator[tuple[str, float]]:
    adult = tests.child < 0.5
    female = np.concatenate([(h["female"][:, 0] > 0)[adult] for h in heard])
    yield "female_accuracy", float((female == np.tile(tests.female[adult] > 0, DRAWS)).mean())
    child = np.concatenate([h["child"][:, 0] > 0 for h in heard])
    yield "child_accuracy", float((child == np.tile(tests.child > 0, DRAWS)).mean())
