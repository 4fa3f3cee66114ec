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


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the adapter is taught with: n people of the training split who have voice and face."""

    owners: Index  # (m,) whose voice each is, 0 .. n - 1
    voices: Float32  # (m, d), unit length: clips, damaged clips, and all of a person together
    photos: tuple[Seen, ...]  # of all n, augmented; any of them
    others: Seen  # photos of people whose voice is not known
    female: Float32  # (n,)
    law: Float32 | None  # (n, n), the ideal observer's scores, if they are to be used
    scale: Any  # of cosines beside them

    def batch(self, rows: Index, step: int, rng: np.random.Generator) -> tuple[Any, ...]:
        """Return what `loss_of` wants beside the portraits of voices `rows`."""
        own = self.owners[rows]
        other = rng.integers(0, len(self.others.features), len(rows) * STRANGERS // PAIRS)
        scores = None if self.law is None else self.law[np.ix_(own, own)].astype(np.float32)
        return (
            self.photos[step % PHOTOS][own], self.others[other], self.voices[rows], scores,
            self.female[own],
        )  # fmt: skip

    def loss_of(
        self, adapter: Any, drawn: Any, shown: Any, other: Any, heard: Any, scores: Any, female: Any
    ) -> Any:
        """Return the loss of one step: portraits that are not seen as voices, photos that move.

        Args:
            adapter: the adapter.
            drawn: features and embeddings of k portraits.
            shown: of a photo of each one's owner.
            other: of other photos.
            heard: (k, d) what was drawn.
            scores: (k, k) or None.
            female: (k,).
        """
        import tensorflow as tf

        features, embedding = (
            tf.concat(parts, axis=0) for parts in zip(drawn, shown, other, strict=True)
        )
        count = tf.shape(heard)[0]
        before = tf.math.l2_normalize(embedding, 1)
        after = tf.math.l2_normalize(embedding + adapter(features), 1)
        away = 1.0 - tf.reduce_sum(after[:count] * heard, axis=1)
        moved = 1.0 - tf.reduce_sum(after[count:] * before[count:], axis=1)
        loss = tf.reduce_mean(away) + SILENCE * tf.reduce_mean(moved)
        if scores is not None:
            faces = before[count : 2 * count]
            loss += losses.law_alignment(after[:count], faces, self.scale, scores, female)
        return loss


def lesson_of(
    data: Dataset, encoders: Encoders, trunk: Any, law: Float32 | None, seed: int
) -> Lesson:
    """Hear the voices and look at the photos, once."""
    import tensorflow as tf

    rng = np.random.default_rng([seed, 83])
    pairs, strangers = data.rows("paired", "train"), data.rows("face_only", "train")
    owners, voices = _voices(data, encoders, pairs)
    photos = tuple(_look(trunk, _photos(data, pairs, rng)) for _ in range(PHOTOS))
    others = _look(trunk, _photos(data, strangers, rng)) if len(strangers) else photos[0]
    female = np.asarray(data.labels.female[pairs], np.float32)
    return Lesson(owners, voices, photos, others, female, law, tf.exp(encoders.scale))


def trunk_of(face: Any) -> Any:
    """Build picture → (features, embedding), of a face encoder without an adapter."""
    import tensorflow as tf

    return tf.keras.Model(face.input, [face.get_layer(FEATURES).output, face.output["embedding"]])


def train_adapter(lesson: Lesson, trunk: Any, decoder: Any, steps: int, seed: int) -> Any:
    """Return the trained adapter (`networks.face.portrait_adapter`).

    Args:
        lesson: what it is taught with.
        trunk: of the encoder, which stays as it is.
        decoder: embedding → portrait, trained.
        steps: of 128 portraits; after none it adds nothing.
        seed: of its first weights and the batches.
    """
    import tensorflow as tf
    from tqdm import tqdm

    tf.keras.utils.set_random_seed(seed)
    rng = np.random.default_rng([seed, 89])
    portraits = _look(trunk, _portraits(decoder, lesson.voices))
    adapter = portrait_adapter(portraits.features.shape[1], lesson.voices.shape[1])
    schedule = tf.keras.optimizers.schedules.CosineDecay(LEARNING_RATE, max(1, steps))
    optimizer = tf.keras.optimizers.Adam(schedule)

    @tf.function
    def train_step(drawn: Any, *others: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = lesson.loss_of(adapter, drawn, *others)
        variables = adapter.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    with tqdm(total=steps, desc="adapter", unit="step", smoothing=0.05) as bar:
        for step in range(steps):
            rows = rng.integers(0, len(lesson.voices), PAIRS)
            loss = train_step(portraits[rows], *lesson.batch(rows, step, rng))
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
