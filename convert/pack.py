"""Models, figures and words → one bundle, and the sample gallery beside it."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edge import __version__
from edge.audio.logmel import LogMelSpec
from edge.bundle import FORMAT, Bundle, write_bundle
from edge.embed.encoder import AGE_TRAITS, FaceEncoder
from edge.face.gallery import Gallery, save_gallery
from edge.face.photo import to_png
from edge.manifest import (
    EmbeddingInfo,
    FaceAlignment,
    FrontendInfo,
    Manifest,
    ModelInfo,
    TraitInfo,
    file_info,
)

from .networks.face import SIZE
from .recipe import Recipe
from .training.batches import MARGIN
from .training.dataset import LN_F0, LN_VTL, YEARS, Dataset

TRAITS = {
    "female": TraitInfo(0.0, 1.0, "logistic"),
    "child": TraitInfo(0.0, 1.0, "logistic"),
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


def pack(
    out: Path,
    files: Mapping[str, tuple[Path, ModelInfo]],
    figures: Mapping[str, float],
    recipe: Recipe,
    dim: int,
) -> Bundle:
    """Write the bundle.

    Args:
        out: `NAME.bundle`.
        files: model name → (.tflite file, its manifest entry).
        figures: what `verify.measure` returned.
        recipe: what the models were made from.
        dim: of the embedding.

    Raises:
        BundleError: what was given breaks the contract.
        StorageError: the disk refused.
    """
    spec = LogMelSpec()
    contents = {path.name: path.read_bytes() for path, _ in files.values()}
    report = json.dumps(dict(figures), indent=2, sort_keys=True) + "\n"
    extra = {"recipe.json": recipe.json().encode(), "report.json": report.encode()}
    digests = "".join(
        files[name][1].files["cpu"].sha256 for name in ("voice_encoder", "face_encoder")
    )
    manifest = Manifest(
        format=FORMAT,
        name=recipe.name,
        version=__version__,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        frontend=FrontendInfo(spec, spec.fingerprint()),
        models={name: info for name, (_, info) in files.items()},
        embedding=EmbeddingInfo(dim, "cosine", hashlib.sha256(digests.encode()).hexdigest()[:16]),
        traits=TRAITS,
        face_alignment=ALIGNMENT,
        measured=dict(figures),
        licence=recipe.licence,
        model_card=model_card(recipe, figures),
        files={Path(name).stem: file_info(name, content) for name, content in extra.items()},
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


def model_card(recipe: Recipe, figures: Mapping[str, float]) -> str:
    """Return the model card, Markdown."""
    people = recipe.population
    return f"""# {recipe.name}

A voice encoder and a face encoder that share one space, and a decoder that draws the typical
person a voice speaks of.

Trained only on synthetic people ({people.paired} with voice and face, {people.voice_only} voices,
{people.face_only} faces): no recording or photograph of anybody was used. Voices come from
espeak-ng, flite and festival reshaped with WORLD, faces from CC0 MakeHuman geometry.

A portrait shows sex, age and size as far as the voice carries them. Skin, hair, eyes and
everything else are those of one fixed typical person and are not predicted. Nothing is claimed
about ethnicity.

Not for identifying anybody, nor for any decision about a person. Age between classes and individual
body size transfer weakly to real voices.

Held-out synthetic people ({figures["people"]:.0f}), one clip against one photo, 1:2 matching voice
to face: float {figures["matching_1_2_v2f_U_float"]:.3f}, int8
{figures["matching_1_2_v2f_U_int8"]:.3f}; chance is 0.5.
"""
