"""Speech2Face as published beside the typical-person decoder: a table, and a sheet of pictures.

Every method draws the people of the test split from one clip. The published one tells the face's
feature and draws the own face from it, each of its losses left out in turn; the others draw the
typical person, from the shared embedding (what ships) and from the traits of the voice encoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.audio.logmel import LogMelSpec
from edge.types import Float32, UInt8

from .metrics import matching_1_2, sharpness, to_pixels, unit
from .networks.portrait import SIZE
from .recipe import Recipe
from .report.reader import Read, Reader, lesson_of, train_reader, truth_of
from .report.sheets import Column, contact_sheet
from .training.dataset import Dataset, load_dataset
from .training.face_feature import Parts, face_decoder, train_voice
from .training.model import Encoders, embed_pictures

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
bundle; 1:2 matches the portrait, as the face encoder sees it, with a photo of the speaker. The
encoder that ships was taught what portraits of the typical person are; untaught, it takes them for
photos, and matches as in the last two columns. Years off is the mean difference between the age
read and the age of adults; "drawn old" counts those of 18 to 60 whose portrait is read as older
than 65. The nearest is, of typical people of every age and size and the sex that ships, the one in
whom the face encoder sees most of what the voice encoder heard: no typical portrait resembles the
embedding more, and it exaggerates ages to do so.

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
    renderer, decoder = train_renderer(recipe, work), _model(work, "portrait_decoder")
    voices = unit(encoders.embed_voices(codes))
    drawn[SHIPPED] = to_pixels(decoder.predict(voices, verbose=0)["portrait"])
    drawn[FROM_TRAITS] = _from_traits(renderer, encoders, codes)
    drawn[NEAREST] = _nearest(renderer, decoder, encoders, voices)
    pictures = [p for p in (data.pictures[r] for r in rows) if p is not None]
    drawn[TRUE] = np.array([p[0] for p in pictures])
    reader = _reader(data, work)
    judge = _Judge(
        (_model(work, "face_encoder"), encoders.face), np.array([p[1] for p in pictures]),
        data.labels.female[rows],
    )  # fmt: skip
    lines = [
        _row(name, images, reader.read(images), judge.of_portraits(images), data, rows)
        for name, images in drawn.items()
    ]
    head = (
        INTRODUCTION
        + "| portrait | sharpness | sex | age band | years off | drawn old | 1:2 U | 1:2 G "
        + "| untaught U | untaught G |\n"
        + "|---" * 10
        + "|"
    )
    lines.append(f"| the embedding itself | – | – | – | – | – | {judge.of_voices(voices)} |")
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
        yield name, to_pixels(decoder.predict(heard["embedding"], verbose=0))


def _model(work: Path, name: str) -> Any:
    import tensorflow as tf

    return tf.keras.models.load_model(work / "models" / f"{name}.keras", compile=False)


def _from_traits(renderer: Any, encoders: Encoders, codes: Any) -> UInt8:
    """Draw sex and age as the voice encoder's traits say, and everybody of average size."""
    from .networks.portrait import grown, staircase, standard_age
    from .training.dataset import YEARS

    heard = encoders.voice.predict(codes[..., None].astype(np.float32) / 32.0, verbose=0)
    years = heard["age_years"] * YEARS[1] + YEARS[0]
    age = standard_age(years)
    latents = [np.asarray(staircase(heard["female"])), np.asarray(grown(age)), age, 0.0 * age]
    return to_pixels(renderer.predict(np.concatenate(latents, axis=1), verbose=0)["portrait"])


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
        people = to_pixels(renderer.predict(latents, verbose=0)["portrait"])
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


def _row(name: str, images: UInt8, read: Read, fits: str, data: Dataset, rows: Any) -> str:
    female, years = truth_of([data.people[r] for r in rows])
    adult = years >= ADULT
    sex = float(((read.female > 0.5) == (female > 0.5))[adult].mean())
    band = float((np.digitize(read.years, BANDS) == np.digitize(years, BANDS)).mean())
    off = float(np.abs(read.years - years)[adult].mean())
    old = float((read.years > OLD)[adult & (years < NOT_OLD)].mean())
    seen = f"{sharpness(images):.1f} | {sex:.3f} | {band:.3f} | {off:.1f} | {old:.3f}"
    return f"| {name} | {seen} | {fits} |"


class _Judge:
    """Matches with one photo of each speaker, by the face encoder that ships and the untaught."""

    def __init__(self, encoders: Sequence[Any], photos: UInt8, female: Float32) -> None:
        self.encoders = encoders
        self.photos = [embed_pictures(face, photos) for face in encoders]
        self.same_sex = female[:, None] == female[None]

    def of_portraits(self, images: UInt8) -> str:
        """Return the cells of portraits (n, 128, 128, 3)."""
        return self._cells([embed_pictures(face, images) for face in self.encoders])

    def of_voices(self, embeddings: Float32) -> str:
        """Return the cells of voices (n, d)."""
        return self._cells([embeddings for _ in self.encoders])

    def _cells(self, queries: Sequence[Float32]) -> str:
        figures = [
            matching_1_2(asked, photos, beside)
            for asked, photos in zip(queries, self.photos, strict=True)
            for beside in (None, self.same_sex)
        ]
        return " | ".join(f"{figure:.3f}" for figure in figures)


def _sheet(drawn: Mapping[str, UInt8], data: Dataset, rows: Any) -> bytes:
    columns = []
    for i, row in enumerate(rows[:SHOWN]):
        person = data.people[row]
        caption = (f"{'man' if person.male else 'woman'}, {person.years:.0f}",)
        columns.append(Column(tuple(images[i] for images in drawn.values()), caption))
    return contact_sheet(list(drawn), columns)
