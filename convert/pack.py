"""Models, figures and words → one bundle, and the sample gallery beside it."""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import textwrap
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edge import __version__
from edge.audio.logmel import LogMelSpec
from edge.bundle import FORMAT, Bundle, write_bundle
from edge.embed.encoder import AGE_TRAITS, FaceEncoder
from edge.face.gallery import Gallery
from edge.face.gallery_file import save_gallery
from edge.face.photo import to_png
from edge.manifest import (
    DecisionInfo,
    EmbeddingInfo,
    FaceAlignment,
    FrontendInfo,
    Manifest,
    ModelInfo,
    TraitInfo,
    file_info,
)

from .detection.shipped import ShippedDetector
from .networks.face import SIZE
from .recipe import Recipe
from .training.batches import MARGIN
from .training.dataset import LN_F0, LN_VTL, YEARS, Dataset
from .training.steps import AGE_PRIOR

TRAITS = {
    "female": TraitInfo(0.0, 1.0, "logistic"),
    # trained where 15 % are children; on a device they are as rare as AGE_PRIOR says
    "child": TraitInfo(math.log(AGE_PRIOR[0]), 1.0, "logistic"),
    "ln_f0": TraitInfo(*LN_F0, "exp"),
    "ln_vtl": TraitInfo(*LN_VTL, "exp"),
    **{name: TraitInfo(*YEARS, "identity") for name in AGE_TRAITS},
}
# population/faces: eyes and crown-chin in the 128-pixel rendering; the encoder sees its middle
ALIGNMENT = FaceAlignment(
    eyes_x=0.5,
    eyes_y=round((0.485 * 128 - MARGIN) / SIZE, 4),
    crown_to_chin=round(0.74 * 128 / SIZE, 4),
)
NAMES = {
    True: [
        "Adam",
        "Bruno",
        "Cyril",
        "Dmitri",
        "Emil",
        "Farid",
        "Goran",
        "Hugo",
        "Ivan",
        "Jonas",
        "Karim",
        "Leon",
    ],
    False: [
        "Ada",
        "Berta",
        "Clara",
        "Dalia",
        "Emma",
        "Fatima",
        "Greta",
        "Hana",
        "Irma",
        "Julia",
        "Kira",
        "Lena",
    ],
}
TAUGHT = (
    "The face encoder was also taught the portraits that the decoder draws of the training voices: "
    "it takes one for the voices that are drawn like it, not for somebody of that age."
)


def pack(
    out: Path,
    files: Mapping[str, tuple[Path, ModelInfo]],
    figures: Mapping[str, float],
    recipe: Recipe,
    dim: int,
    decision: tuple[DecisionInfo, bytes] | None = None,
    detector: ShippedDetector | None = None,
) -> Bundle:
    """Write the bundle.

    Args:
        out: `NAME.bundle`.
        files: model name → (.tflite file, its manifest entry).
        figures: what `verify.measure` returned.
        recipe: what the models were made from.
        dim: of the embedding.
        decision: what scores mean, and the cohort's file; None leaves it open.
        detector: of faces in photos; None for a bundle whose users frame photos by hand.

    Raises:
        BundleError: what was given breaks the contract.
        StorageError: the disk refused.
    """
    spec = LogMelSpec()
    contents = {path.name: path.read_bytes() for path, _ in files.values()}
    report = json.dumps(dict(figures), indent=2, sort_keys=True) + "\n"
    extra = {"recipe.json": recipe.json().encode(), "report.json": report.encode()}
    if decision is not None:
        extra["cohort.npz"] = decision[1]
    models = {name: info for name, (_, info) in files.items()}
    if detector is not None:
        models["face_detector"] = detector.model
        contents[detector.path.name] = detector.path.read_bytes()
        extra |= detector.files
    digests = "".join(
        files[name][1].files["cpu"].sha256 for name in ("voice_encoder", "face_encoder")
    )
    manifest = Manifest(
        format=FORMAT,
        name=recipe.name,
        version=__version__,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        frontend=FrontendInfo(spec, spec.fingerprint()),
        models=models,
        embedding=EmbeddingInfo(dim, "cosine", hashlib.sha256(digests.encode()).hexdigest()[:16]),
        traits=TRAITS,
        face_alignment=ALIGNMENT,
        measured=dict(figures),
        licence=recipe.licence,
        model_card=model_card(recipe, figures) + (detector.card if detector else ""),
        files={Path(name).stem: file_info(name, content) for name, content in extra.items()},
        face_detector=detector.info if detector else None,
        decision=decision[0] if decision else None,
    )
    return write_bundle(out, manifest, {**contents, **extra})


def pack_gallery(out: Path, bundle: Bundle, data: Dataset, count: int) -> Gallery:
    """Enrol `count` people of the test split, half of them women, through the device's encoder."""
    encoder = FaceEncoder(bundle.open("face_encoder"))
    gallery = Gallery(bundle.manifest.embedding.space_id)
    test = data.rows("paired", "test")
    for male in (False, True):
        rows = [r for r in test if data.people[r].male == male][: count // 2]
        for number, row in enumerate(rows):
            pictures = data.pictures[row]
            if pictures is None:
                continue
            faces = pictures[:, MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]
            name = f"{NAMES[male][number % len(NAMES[male])]} (synthetic)"
            thumbnail = to_png(np.ascontiguousarray(faces[0]))
            gallery = gallery.add(name, encoder.embed(faces), thumbnail, data.people[row].id)
    save_gallery(out, gallery)
    out.chmod(0o644)  # nobody real in it, and every user of a system-wide install reads it
    return gallery


def _trained_on(recipe: Recipe) -> str:
    """Return the model card's paragraph about what a bundle was trained on."""
    people = recipe.population
    sentences = [
        f"Synthetic people only ({people.paired} with voice and face, {people.voice_only} voices "
        f"whose pitch and vocal tract are independent, {people.face_only} faces).",
        "Faces come from CC0 MakeHuman geometry: no photograph of anybody.",
        "Voices start from espeak-ng, flite and festival, whose own voices are in part cut from "
        "recordings; many of those that train start from words that thirty people recorded for "
        "free programs for children (tuxpaint, ktuberling, klettres, fillets-ng).",
        "All these are reshaped with WORLD: none is anybody's.",
        f"{people.resampled} more speakers, from whom the voice encoder learns traits alone, are "
        "such recordings and voices played faster or slower."
        if people.resampled
        else "",
        "People, and the voices they start from, are disjoint between training, validation and "
        "test.",
        TAUGHT if recipe.training.adapter_steps else "",
    ]
    return textwrap.fill(" ".join(filter(None, sentences)), 100)


def model_card(recipe: Recipe, figures: Mapping[str, float]) -> str:
    """Return the model card, Markdown."""

    def beside(key: str) -> str:
        values = (figures[f"{key}_{kind}"] for kind in ("int8", "float", "oracle_acoustic"))
        return " | ".join(f"{value:.3f}" for value in values)

    return f"""# {recipe.name}

A voice encoder and a face encoder that share one space, and a decoder that draws the typical
person a voice speaks of.

## What it was trained on

{_trained_on(recipe)}

## What it measures

{figures["people"]:.0f} synthetic people of the test split, 8 s of voice against one photo, 1:2
matching; chance is 0.5. The ideal observer knows every parameter the clips were rendered with, and
the sex of whoever was recorded for the text-to-speech voice.

| | int8 | float | ideal observer |
|---|---|---|---|
| voice to face | {beside("matching_1_2_v2f_U")} |
| the same, both of one sex | {beside("matching_1_2_v2f_G")} |
| face to voice | {beside("matching_1_2_f2v_U")} |
| the same, both of one sex | {beside("matching_1_2_f2v_G")} |

## What it must not be used for

Identifying anybody, and any decision about a person. A portrait is a guess at a typical person, not
a likeness. It shows sex, age and size as far as the voice carries them; skin, hair, eyes and
everything else are those of one fixed typical person and are not predicted. Nothing is claimed
about ethnicity.

## What does not transfer to real voices

The size of an individual body, and age beyond child or adult: the interval given with an age is
wide because a voice says no more. Elderly is not claimed. A man who speaks as high as a woman, or a
woman as low as a man, is told with little confidence, and often wrongly. A woman who speaks very
high, above 240 Hz, may be taken for a child.
"""
