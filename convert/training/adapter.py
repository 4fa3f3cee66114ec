"""Teaches the face encoder what portraits are: in each it has to see the voice that was drawn.

A photo shows one person's age; a portrait shows the mean of all who sound alike. Taken for a photo,
a typical face of 45 is embedded as somebody of 45, where its voice means anybody from 25 to 70, and
fits the true faces less well than the voice does. An adapter beside the frozen encoder learns the
difference: to portraits of the training split's voices it adds what is missing (Speech2Face's
normalised L2 loss, and the ideal observer's scores of portraits and photos), to photos nothing.

Portraits are drawn and all pictures are seen once; only the adapter is trained, on the encoder's
features.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.types import Float32

from ..metrics import to_pixels, unit
from ..networks.face import FEATURES, portrait_adapter
from . import losses
from .batches import centre_crop, face_batch
from .dataset import Dataset, Index
from .model import BATCH, Encoders

PHOTOS = 3  # augmented photos of everybody whose face is known
PAIRS, STRANGERS = 128, 64  # portraits with a photo each, and other photos, per step
# Weight of a photo that moves, in cosine; a portrait away from its voice weighs 1. At 3 one photo
# in a hundred moves by more than .01, towards all voices, at 30 one in two thousand (measured once,
# no command repeats it).
SILENCE = 30.0
LEARNING_RATE = 1e-3


@dataclass(frozen=True, slots=True)
class Seen:
    """What the frozen encoder makes of pictures."""

    features: Float32  # (n, f)
    embedding: Float32  # (n, d), as the network gives it

    def __getitem__(self, rows: Index) -> tuple[Float32, Float32]:
        """Return features and embedding of some of them."""
        return self.features[rows], self.embedding[rows]


def train_adapter(
    data: Dataset, encoders: Encoders, decoder: Any, steps: int, seed: int,
    law: Float32 | None = None,
) -> Any:  # fmt: skip
    """Return the trained adapter (`networks.face.portrait_adapter`) of `encoders.face`.

    Args:
        data: the population; its training split is used.
        encoders: trained; they stay as they are.
        decoder: embedding → portrait, trained.
        steps: of 128 portraits; after none it adds nothing.
        seed: of the pictures and the batches.
        law: the ideal observer's scores of the training pairs (n, n), if they are to be used.
    """
    import tensorflow as tf
    from tqdm import tqdm

    tf.keras.utils.set_random_seed(seed)
    rng = np.random.default_rng([seed, 83])
    pairs, strangers = data.rows("paired", "train"), data.rows("face_only", "train")
    owners, voices = _voices(data, encoders, pairs)
    trunk = tf.keras.Model(
        encoders.face.input,
        [encoders.face.get_layer(FEATURES).output, encoders.face.output["embedding"]],
    )
    portraits = _look(trunk, _portraits(decoder, voices))
    photos = [_look(trunk, _photos(data, pairs, rng)) for _ in range(PHOTOS)]
    others = _look(trunk, _photos(data, strangers, rng)) if len(strangers) else photos[0]
    adapter = portrait_adapter(portraits.features.shape[1], voices.shape[1])
    schedule = tf.keras.optimizers.schedules.CosineDecay(LEARNING_RATE, max(1, steps))
    optimizer = tf.keras.optimizers.Adam(schedule)
    scale = tf.exp(encoders.scale)

    @tf.function
    def train_step(drawn: Any, shown: Any, other: Any, heard: Any, scores: Any, female: Any) -> Any:
        features, embedding = (
            tf.concat(parts, axis=0) for parts in zip(drawn, shown, other, strict=True)
        )
        count = tf.shape(heard)[0]
        before = tf.math.l2_normalize(embedding, 1)
        with tf.GradientTape() as tape:
            after = tf.math.l2_normalize(embedding + adapter(features), 1)
            away = 1.0 - tf.reduce_sum(after[:count] * heard, axis=1)
            moved = 1.0 - tf.reduce_sum(after[count:] * before[count:], axis=1)
            loss = tf.reduce_mean(away) + SILENCE * tf.reduce_mean(moved)
            if law is not None:
                faces = before[count : 2 * count]
                loss += losses.law_alignment(after[:count], faces, scale, scores, female)
        variables = adapter.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    with tqdm(total=steps, desc="adapter", unit="step", smoothing=0.05) as bar:
        for step in range(steps):
            rows = rng.integers(0, len(voices), PAIRS)
            own = owners[rows]
            other = rng.integers(0, len(others.features), STRANGERS)
            scores = np.zeros((0, 0)) if law is None else law[np.ix_(own, own)]
            loss = train_step(
                portraits[rows], photos[step % PHOTOS][own], others[other], voices[rows],
                scores.astype(np.float32), data.labels.female[pairs[own]],
            )  # fmt: skip
            bar.update()
            if step % 100 == 0:
                bar.set_postfix(loss=f"{float(loss):.4f}", refresh=False)
    return adapter


def _voices(data: Dataset, encoders: Encoders, people: Index) -> tuple[Index, Float32]:
    """Return whose (m,) and the unit embeddings (m, d): clips, damaged clips, and all together."""
    clips = np.concatenate([data.clips_of[p] for p in people])
    whose = np.concatenate([np.full(len(data.clips_of[p]), i) for i, p in enumerate(people)])
    clean, damaged = (unit(encoders.embed_voices(data.codes[clips, v])) for v in (0, 1))
    together = np.zeros((len(people), clean.shape[1]), np.float32)
    np.add.at(together, whose, clean)
    owners = np.concatenate([whose, whose, np.arange(len(people))])
    return owners, np.concatenate([clean, damaged, unit(together)])


def framed_portraits(decoder: Any, voices: Float32) -> Float32:
    """Return the portraits of voices as pictures for the face encoder: (n, 112, 112, 3), 0..1."""
    return centre_crop(to_pixels(decoder(voices)["portrait"]))


def _portraits(decoder: Any, voices: Float32) -> Iterator[Float32]:
    for i in range(0, len(voices), BATCH):
        yield framed_portraits(decoder, voices[i : i + BATCH])


def _photos(data: Dataset, people: Index, rng: np.random.Generator) -> Iterator[Float32]:
    for i in range(0, len(people), BATCH):
        yield face_batch(data, people[i : i + BATCH], rng)


def _look(trunk: Any, batches: Iterable[Float32]) -> Seen:
    """Return what the trunk makes of batches of pictures, one after the other."""
    seen = [trunk(batch, training=False) for batch in batches]
    return Seen(*(np.concatenate([np.asarray(s[k]) for s in seen]) for k in (0, 1)))
