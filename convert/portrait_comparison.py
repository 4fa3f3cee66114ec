"""Speech2Face as published beside the typical-person decoder: a table, and a sheet of pictures.

Every method draws the people of the test split from one clip. The published one tells the face's
feature and draws the own face from it, each of its losses left out in turn; the others draw the
typical person, from the shared embedding (what ships) and from the traits of the voice encoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.audio.logmel import LogMelSpec
from edge.types import Float32, UInt8

from .metrics import matching_1_2, sharpness, unit
from .networks.portrait import SIZE
from .recipe import Recipe
from .report.reader import Read, Reader, lesson_of, train_reader, truth_of
from .report.sheets import Column, contact_sheet
from .training.dataset import Dataset, load_dataset
from .training.face_feature import Parts, face_decoder, train_voice
from .training.model import Encoders

METHODS = {
    "all three losses": Parts(),
    "without the decoder's layer": Parts(decoder=False),
    "without the normalised feature": Parts(normalised=False),
    "without distillation": Parts(distillation=False),
}
SHIPPED, FROM_TRAITS, TRUE = "typical, from the embedding", "typical, from the traits", "true face"
NEAREST = "typical, nearest to the embedding"
INTRODUCTION = """# Portraits: Speech2Face as published, and what ships

The test split's people drawn from one clip of 2.6 s by each method (the sheet beside this file
shows some of them). The first four tell the feature of the speaker's own face and draw that face,
with the three losses of Speech2Face or all but one; the others draw the typical person. Sharpness
is the mean |Laplacian|; sex and age band are read back by a network that shares nothing with the
bundle; 1:2 matches the portrait, as the face encoder sees it, with a photo of the speaker. Years
off is the mean difference between the age read and the age of adults; "drawn old" counts those of
18 to 60 whose portrait is read as older than 65. The nearest is, of typical people of every age and
size and the sex that ships, the one in whom the face encoder sees most of what the voice encoder
heard: no typical portrait resembles the embedding more, and it exaggerates ages to do so.

Made by `earsight-convert portraits --work WORK --out docs/portraits.md`.

"""
ADULT, SHOWN = 18.0, 16  # years; people on the sheet
BANDS = (15.0, 30.0, 45.0, 65.0)  # years at which a new age band starts
NOT_OLD, OLD = 60.0, 65.0  # years: younger than the first should not look older than the second
AGES, SIZES = np.arange(4.0, 91.0, 3.0), np.linspace(-2.0, 2.0, 9)  # of whom the nearest is sought


@dataclass(frozen=True, slots=True)
class Scale:
    """How long the published method is trained here."""

    decoder_steps: int = 1200
    voice_steps: int = 800


def compare_portraits(recipe: Recipe, work: Path, scale: Scale) -> tuple[str, bytes]:
    """Train the published method, draw everybody with every method.

    Args:
        recipe: the one `work` was built from.
        work: a work folder with trained encoders and decoder.
        scale: training steps.

    Returns:
        The table (Markdown) and the contact sheet (JPEG).
    """
    from .build import train_renderer
    from .training.encoders import load_encoders

    data = load_dataset(work, recipe.population)
    encoders = load_encoders(data, LogMelSpec(), recipe.training, work / "encoders")
    rows = data.rows("paired", "test")
    codes = data.codes[[data.clips_of[r][0] for r in rows], 0]
    drawn = dict(_published(data, encoders, codes, scale, recipe.seed))
    renderer, decoder = train_renderer(recipe, work), _decoder(work)
    voices = unit(encoders.embed_voices(codes))
    drawn[SHIPPED] = _pixels(decoder.predict(voices, verbose=0)["portrait"])
    drawn[FROM_TRAITS] = _from_traits(renderer, encoders, codes)
    drawn[NEAREST] = _nearest(renderer, decoder, encoders, voices)
    pictures = [p for p in (data.pictures[r] for r in rows) if p is not None]
    drawn[TRUE] = np.array([p[0] for p in pictures])
    reader = _reader(data, work)
    photos = encoders.embed_faces(np.array([p[1] for p in pictures]))
    lines = [
        _row(name, images, reader.read(images), encoders, photos, data, rows)
        for name, images in drawn.items()
    ]
    head = (
        INTRODUCTION
        + "| portrait | sharpness | sex | age band | years off | drawn old | 1:2 U | 1:2 G |\n"
        + "|---" * 8
        + "|"
    )
    embedding = _cells(voices, photos, data, rows)
    lines.append(f"| the embedding itself | – | – | – | – | – | {embedding} |")
    return "\n".join([head, *lines]) + "\n", _sheet(drawn, data, rows)


def _published(
    data: Dataset, encoders: Encoders, codes: Any, scale: Scale, seed: int
) -> Iterator[tuple[str, UInt8]]:
    people = data.rows("paired", "train")
    faces = np.array([p[0] for p in (data.pictures[r] for r in people) if p is not None])
    features = encoders.embed_faces(faces)
    decoder, first = face_decoder(features, faces, scale.decoder_steps, seed)
    for name, parts in METHODS.items():
        voice = train_voice(data, encoders, first, parts, scale.voice_steps, seed)
        heard = voice.predict(codes[..., None].astype(np.float32) / 32.0, verbose=0)
        yield name, _pixels(decoder.predict(heard["embedding"], verbose=0))


def _decoder(work: Path) -> Any:
    import tensorflow as tf

    return tf.keras.models.load_model(work / "models" / "portrait_decoder.keras", compile=False)


def _from_traits(renderer: Any, encoders: Encoders, codes: Any) -> UInt8:
    """Draw sex and age as the voice encoder's traits say, and everybody of average size."""
    from .networks.portrait import grown, staircase, standard_age
    from .training.dataset import YEARS

    heard = encoders.voice.predict(codes[..., None].astype(np.float32) / 32.0, verbose=0)
    years = heard["age_years"] * YEARS[1] + YEARS[0]
    age = standard_age(years)
    latents = [np.asarray(staircase(heard["female"])), np.asarray(grown(age)), age, 0.0 * age]
    return _pixels(renderer.predict(np.concatenate(latents, axis=1), verbose=0)["portrait"])


def _nearest(renderer: Any, decoder: Any, encoders: Encoders, voices: Float32) -> UInt8:
    """Draw, of many typical people of the sex that ships, whom the face encoder finds nearest."""
    from .networks.portrait import grown, staircase, standard_age, standard_size

    years, size = (axis.ravel().astype(np.float32) for axis in np.meshgrid(AGES, SIZES))
    age = standard_age(years)[:, None]
    body = [np.asarray(grown(age)), age, standard_size(size)[:, None]]
    told = np.rint(np.asarray(staircase(decoder.get_layer("latent_head")(voices)["sex"]))[:, 0])
    chosen = np.empty((len(voices), SIZE, SIZE, 3), np.uint8)
    for sex in np.unique(told):
        latents = np.concatenate([np.full_like(age, sex), *body], axis=1)
        people = _pixels(renderer.predict(latents, verbose=0)["portrait"])
        mine = told == sex
        resembles = voices[mine] @ unit(encoders.embed_faces(people)).T
        chosen[mine] = people[resembles.argmax(axis=1)]
    return chosen


def _reader(data: Dataset, work: Path) -> Reader:
    """Train the judge on renderings of the training split."""
    from .population.pictures import load_typical
    from .report.people import Faces

    rows = data.rows("paired", "train")[:1500]
    images = np.array([p[0] for p in (data.pictures[r] for r in rows) if p is not None])
    faces = Faces(tuple(data.people[r] for r in rows), images)
    return train_reader(lesson_of(faces, load_typical(work / "typical"), None, 1))


def _row(
    name: str, images: UInt8, read: Read, encoders: Encoders, photos: Float32, data: Dataset,
    rows: Any,
) -> str:  # fmt: skip
    female, years = truth_of([data.people[r] for r in rows])
    adult = years >= ADULT
    sex = float(((read.female > 0.5) == (female > 0.5))[adult].mean())
    band = float((np.digitize(read.years, BANDS) == np.digitize(years, BANDS)).mean())
    off = float(np.abs(read.years - years)[adult].mean())
    old = float((read.years > OLD)[adult & (years < NOT_OLD)].mean())
    fits = _cells(encoders.embed_faces(images), photos, data, rows)
    seen = f"{sharpness(images):.1f} | {sex:.3f} | {band:.3f} | {off:.1f} | {old:.3f}"
    return f"| {name} | {seen} | {fits} |"


def _cells(queries: Float32, photos: Float32, data: Dataset, rows: Any) -> str:
    female = data.labels.female[rows]
    same = female[:, None] == female[None]
    return f"{matching_1_2(queries, photos):.3f} | {matching_1_2(queries, photos, same):.3f}"


def _sheet(drawn: Mapping[str, UInt8], data: Dataset, rows: Any) -> bytes:
    columns = []
    for i, row in enumerate(rows[:SHOWN]):
        person = data.people[row]
        caption = (f"{'man' if person.male else 'woman'}, {person.years:.0f}",)
        columns.append(Column(tuple(images[i] for images in drawn.values()), caption))
    return contact_sheet(list(drawn), columns)


def _pixels(images: Float32) -> UInt8:
    return np.asarray(np.rint(np.clip(images, 0.0, 1.0) * 255.0), dtype=np.uint8)
