"""A small network that reads sex, age and landmarks from a rendering; it judges the portraits.

It is trained on renderings of the training split only and shares nothing with the bundle's
networks, so what it sees in a portrait is there to be seen. Speech2Face used Face++ and DEST.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.types import Float32, UInt8

from ..metrics import Float64
from ..parallel import each
from ..population.pictures import TypicalPictures
from .landmarks import NAMES, Points, true_landmarks, typical_landmarks
from .people import Faces

MOST = 1500  # renderings of people, and as many of the typical person
EPOCHS, BATCH = 12, 32
YEARS = (42.0, 27.0)  # mean and spread that ages are standardised with
CHILDS_SEX = 0.2  # weight: little of it shows
LANDMARKS_WEIGHT = 4.0
SEED = 8801


@dataclass(frozen=True, slots=True)
class Lesson:
    """Renderings and what is known of them."""

    images: UInt8  # (n, 128, 128, 3)
    female: Float32  # (n,) 0..1; one half is the androgynous typical person
    years: Float32  # (n,)
    points: Points | None  # None without head geometry


@dataclass(frozen=True, slots=True)
class Read:
    """What is read from n pictures."""

    female: Float32  # (n,) probability
    years: Float32  # (n,)
    points: Points | None  # None when the reader never learnt landmarks


class Reader:
    """The trained network."""

    def __init__(self, model: Any, mean: Float64 | None, spread: Float64 | None) -> None:
        self._model, self._mean, self._spread = model, mean, spread

    def read(self, pictures: UInt8) -> Read:
        """Read pictures (n, 128, 128, 3)."""
        seen = self._model.predict(_shrink(pictures), batch_size=128, verbose=0)
        female = 1.0 / (1.0 + np.exp(-seen["female"][:, 0]))
        years = seen["years"][:, 0] * YEARS[1] + YEARS[0]
        points = None
        if self._mean is not None and self._spread is not None:
            places = seen["points"] * self._spread.ravel() + self._mean.ravel()
            points = places.reshape(-1, len(NAMES), 2).astype(np.float64)
        return Read(female, years, points)


def halves(typical: TypicalPictures) -> tuple[TypicalPictures, TypicalPictures]:
    """Return the typical renderings a reader may learn from, and those it is tried on."""
    middle = len(typical.images) // 2
    return _part(typical, slice(0, middle)), _part(typical, slice(middle, None))


def lesson_of(
    faces: Faces, typical: TypicalPictures, geometry: Path | None, workers: int
) -> Lesson:
    """Put people and typical persons together, with landmarks where there is head geometry."""
    some = slice(0, MOST)
    drawn = (typical.female[some], typical.years[some], typical.size[some])
    points = None
    if geometry is not None:
        people = [(person, geometry) for person in faces.people]
        persons = [(float(f), float(y), float(s), geometry) for f, y, s in zip(*drawn, strict=True)]
        known = [*each(true_landmarks, people, workers), *each(typical_landmarks, persons, workers)]
        points = np.array(known)
    return Lesson(
        np.concatenate([faces.images, typical.images[some]]),
        np.concatenate([[float(not p.male) for p in faces.people], drawn[0]]).astype(np.float32),
        np.concatenate([[p.face_years for p in faces.people], drawn[1]]).astype(np.float32),
        points,
    )


def train_reader(lesson: Lesson, epochs: int = EPOCHS) -> Reader:
    """Train on a lesson; tens of seconds."""
    import tensorflow as tf
    from tqdm import tqdm

    tf.keras.utils.set_random_seed(SEED)
    rng = np.random.default_rng(SEED)
    wanted = {"female": lesson.female, "years": (lesson.years - YEARS[0]) / YEARS[1]}
    grown = np.where(lesson.years < 15, CHILDS_SEX, 1.0).astype(np.float32)
    mean = spread = None
    if lesson.points is not None:
        mean, spread = lesson.points.mean(axis=0), lesson.points.std(axis=0) + 1e-3
        wanted["points"] = ((lesson.points - mean) / spread).reshape(len(lesson.points), -1)
    model = _network(landmarks=lesson.points is not None)
    steps = epochs * -(-len(lesson.images) // BATCH)
    model.compile(
        tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.CosineDecay(2e-3, steps)),
        loss={
            "female": tf.keras.losses.BinaryCrossentropy(from_logits=True),
            "years": "huber",
            "points": "mse",
        }
        if "points" in wanted
        else {"female": tf.keras.losses.BinaryCrossentropy(from_logits=True), "years": "huber"},
        loss_weights={name: LANDMARKS_WEIGHT if name == "points" else 1.0 for name in wanted},
    )
    small = _shrink(lesson.images)
    everything = np.ones(len(small), np.float32)
    weights = {name: grown if name == "female" else everything for name in wanted}
    for _ in tqdm(range(epochs), desc="reader", unit="epoch"):
        model.fit(_varied(small, rng), wanted, sample_weight=weights, batch_size=BATCH, verbose=0)
    return Reader(model, mean, spread)


def _part(typical: TypicalPictures, part: slice) -> TypicalPictures:
    return TypicalPictures(
        typical.female[part], typical.years[part], typical.size[part], typical.images[part]
    )


def truth_of(people: Sequence[Any]) -> tuple[Float32, Float32]:
    """Return (female 0 or 1, years) of people, (n,) each."""
    return (
        np.array([float(not p.male) for p in people], np.float32),
        np.array([p.years for p in people], np.float32),
    )


def _network(landmarks: bool) -> Any:
    """Build pictures (64, 64, 3) in -1..1 → log-odds of female, standard years, landmarks."""
    import tensorflow as tf

    layers = tf.keras.layers
    picture = layers.Input((64, 64, 3))
    x = picture
    for channels in (24, 48, 64, 96):
        x = layers.Conv2D(channels, 3, 2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Flatten()(x)  # 4 x 4 places: landmarks are places
    hidden = layers.Dense(128, activation="relu")(layers.Dropout(0.2)(x))
    outputs = {
        "female": layers.Dense(1, name="female")(hidden),
        "years": layers.Dense(1, name="years")(hidden),
    }
    if landmarks:
        outputs["points"] = layers.Dense(2 * len(NAMES), name="points")(x)
    return tf.keras.Model(picture, outputs, name="reader")


def _shrink(pictures: UInt8) -> Float32:
    """Return pictures (n, 128, 128, 3) at half the size, -1..1."""
    n, height, width, channels = pictures.shape
    blocks = pictures.reshape(n, height // 2, 2, width // 2, 2, channels)
    return np.asarray(blocks.mean(axis=(2, 4), dtype=np.float32) / 127.5 - 1, np.float32)


def _varied(pictures: Float32, rng: np.random.Generator) -> Float32:
    """Return pictures with other brightness and tint, some blurred, some noisy."""
    n = len(pictures)
    varied = pictures * rng.normal(1.0, 0.08, (n, 1, 1, 1)).astype(np.float32)
    varied += rng.normal(0.0, 0.05, (n, 1, 1, 3)).astype(np.float32)
    blurred = rng.random(n) < 0.4
    soft = varied[blurred]
    for axis in (1, 2):
        soft = 0.5 * soft + 0.25 * (np.roll(soft, 1, axis) + np.roll(soft, -1, axis))
    varied[blurred] = soft
    noisy = rng.random(n) < 0.5
    varied[noisy] += rng.normal(0.0, 0.03, varied[noisy].shape).astype(np.float32)
    return varied
