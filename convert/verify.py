"""Float against int8 on people no network has seen: the figures a bundle ships with, and its gates.

Matching asks with all clips of a person, a window of 2.575 s each and together about 8 s (Shape
of Sound hears 10), against one varied photo, averaged over three photos, on the test split. Figures
that end in `_window` ask with one window. int8 runs through `edge.runtime`, the code the device
runs, on every runtime that is installed; figures that end in `_int8` are those of the first, LiteRT
where there is one. `convert.report` measures more, and with confidence intervals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import EarsightError
from edge.manifest import TraitInfo
from edge.types import Float32, UInt8

from .backends import Backend, Files, FloatBackend, on_all, runtimes
from .metrics import (
    Bool,
    auc,
    matching_1_2,
    matching_of_scores,
    mean_cosine,
    psnr_db,
    sharpness,
    to_pixels,
    unit,
)
from .population.law import Person
from .population.oracle import acoustic_scores, exact_scores
from .recipe import GatesRecipe
from .training.batches import centre_crop
from .training.dataset import Dataset

DRAWS = 3  # clips and photos of each person
PORTRAITS = 64  # test voices whose portraits are compared


@dataclass(frozen=True, slots=True)
class FloatModels:
    """The trained Keras models, the reference of every comparison."""

    voice: Any
    face: Any
    decoder: Any


@dataclass(frozen=True, slots=True)
class TestSet:
    """What the figures are computed from: clip k and photo k of each person."""

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


@dataclass(frozen=True, slots=True)
class Look:
    """What one backend makes of the test set."""

    heard: dict[str, Float32]  # (draws, n, ...) each output of the voice encoder
    faces: Float32  # (draws, n, d)
    portraits: UInt8  # (PORTRAITS, 128, 128, 3), of the float voice embeddings


def measure(
    floats: FloatModels, files: Files, tests: TestSet, traits: Mapping[str, TraitInfo]
) -> dict[str, float]:
    """Return every figure; see `README.md`, "What it measures", for their names.

    Raises:
        BundleError: a model breaks the contract.
        RuntimeUnavailable: no runtime works here.
    """
    networks = {
        "voice_encoder": floats.voice,
        "face_encoder": floats.face,
        "portrait_decoder": floats.decoder,
    }
    reference = FloatBackend(networks)
    queries = unit(reference.run("voice_encoder", tests.features[0][:PORTRAITS])["embedding"])
    with runtimes(files) as (int8, _):
        looks = on_all([reference, *int8], lambda backend: _look(backend, tests, queries))
    figures: dict[str, float] = {"people": float(len(tests.people))}
    same_sex = tests.female[:, None] == tests.female[None]
    matched = {name: dict(_matching(look, same_sex)) for name, look in looks.items()}
    for name, kind in (("float", "float"), (int8[0].name, "int8")):
        figures.update({f"{key}_{kind}": value for key, value in matched[name].items()})
        figures.update({f"{k}_{kind}": v for k, v in _trait_accuracy(looks[name], tests)})
    figures.update(_oracles(tests, same_sex))
    if len(int8) > 1:
        figures["runtimes_difference"] = _largest_difference([matched[b.name] for b in int8])
    figures.update(_losses(looks["float"], looks[int8[0].name], traits))
    return {name: round(value, 5) for name, value in figures.items()}


def failures(figures: Mapping[str, float], gates: GatesRecipe) -> list[str]:
    """Return one line for each gate that is not reached."""
    checks = [
        ("matching_1_2_v2f_U_int8", figures["matching_1_2_v2f_U_int8"], gates.matching_1_2),
        ("cosine_voice", figures["cosine_voice"], gates.cosine),
        ("cosine_face", figures["cosine_face"], gates.cosine),
        ("portrait_psnr_db", figures["portrait_psnr_db"], gates.portrait_psnr_db),
    ]
    found = [f"{n} is {v:.4f}, the recipe asks for {gate}" for n, v, gate in checks if v < gate]
    for key, most in (
        ("matching_1_2_v2f_U", gates.int8_matching_loss),
        ("matching_1_2_f2v_U", gates.int8_matching_loss),
        ("auc", gates.int8_auc_loss),
    ):
        loss = figures[f"{key}_float"] - figures[f"{key}_int8"]
        if loss > most:
            found.append(f"int8 loses {loss:.4f} of {key}, the recipe allows {most}")
    apart = figures.get("runtimes_difference", 0.0)
    if apart > gates.runtimes_difference:
        found.append(
            f"the runtimes differ by {apart:.4f} in matching, "
            f"the recipe allows {gates.runtimes_difference}"
        )
    return found


def check_gates(figures: Mapping[str, float], gates: GatesRecipe) -> None:
    """Raise EarsightError naming every gate that is not reached."""
    missed = failures(figures, gates)
    if missed:
        raise EarsightError("gates not reached: " + "; ".join(missed))


def _look(backend: Backend, tests: TestSet, queries: Float32) -> Look:
    heard = [backend.run("voice_encoder", features) for features in tests.features]
    faces = [backend.run("face_encoder", images)["embedding"] for images in tests.faces]
    drawn = backend.run("portrait_decoder", queries)["portrait"]
    outputs = {name: np.array([h[name] for h in heard]) for name in heard[0]}
    return Look(outputs, np.array(faces), to_pixels(drawn))


def _matching(look: Look, same_sex: Bool) -> Iterator[tuple[str, float]]:
    """Yield 1:2 matching (U unrestricted, G same sex) in both directions, and the AUC."""
    windows = unit(look.heard["embedding"])
    voices = unit(windows.mean(axis=0))

    def mean(values: list[float]) -> float:
        return float(np.mean(values))

    for name, beside in (("U", None), ("G", same_sex)):
        asked = [(voices, f) for f in look.faces]
        yield f"matching_1_2_v2f_{name}", mean([matching_1_2(v, f, beside) for v, f in asked])
        yield f"matching_1_2_f2v_{name}", mean([matching_1_2(f, v, beside) for v, f in asked])
        alone = zip(windows, look.faces, strict=True)
        yield f"matching_1_2_v2f_{name}_window", mean([matching_1_2(*a, beside) for a in alone])
    yield "auc", mean([auc(voices, f) for f in look.faces])


def _largest_difference(matched: list[dict[str, float]]) -> float:
    """Return the largest difference between two runtimes in any matching figure."""
    keys = [key for key in matched[0] if key.startswith("matching")]
    return max(max(m[k] for m in matched) - min(m[k] for m in matched) for k in keys)


def _losses(
    reference: Look, int8: Look, traits: Mapping[str, TraitInfo]
) -> Iterator[tuple[str, float]]:
    """Yield how far int8's outputs lie from float's."""
    pair = (reference, int8)
    yield "cosine_voice", mean_cosine(*(look.heard["embedding"] for look in pair))
    yield "cosine_face", mean_cosine(*(look.faces for look in pair))
    for name in traits:
        apart = np.abs(reference.heard[name] - int8.heard[name]).mean()
        yield f"{name}_error_int8", float(apart * traits[name].std)
    psnr = psnr_db(reference.portraits, int8.portraits)
    yield "portrait_psnr_db", float(psnr.mean())
    yield "portrait_psnr_db_p5", float(np.percentile(psnr, 5))
    yield "portrait_sharpness_float", sharpness(reference.portraits)
    yield "portrait_sharpness_int8", sharpness(int8.portraits)


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


def _trait_accuracy(look: Look, tests: TestSet) -> Iterator[tuple[str, float]]:
    adult = tests.child < 0.5
    female = look.heard["female"][:, adult, 0] > 0
    yield "female_accuracy", float((female == (tests.female[adult] > 0)).mean())
    child = look.heard["child"][..., 0] > 0
    yield "child_accuracy", float((child == (tests.child > 0)).mean())
