"""Speech2Face's voice branch: a voice is taught the feature of its own face (Oh et al. 2019, 4).

The face encoder, the decoder that draws a face from its feature, and the classifier on features are
frozen. Three losses compare the feature v_s told by the voice with v_f seen in the face: L1 through
the decoder's first layer, the squared distance of the normalised features, and distillation through
the classifier at temperature 2. With `Parts` each can be left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.audio.logmel import LogMelSpec
from edge.types import Float32

from ..networks.voice import voice_encoder
from .batches import prefetch, voice_batch
from .dataset import Dataset
from .model import DIM, Encoders
from .portrait import principal_components

NORMALISED, DISTILLATION, TEMPERATURE = 0.025, 200.0, 2.0  # as published
FIRST_LAYER = 1000  # outputs of the decoder's first layer, as published
BASIS = 128  # principal components of the faces the decoder draws with
BATCH = 48
DECODER_RATE, VOICE_RATE = 1e-3, 1e-3
ADAM = {"beta_1": 0.5, "epsilon": 1e-4}  # as published


@dataclass(frozen=True, slots=True)
class Parts:
    """Which of the three losses are used."""

    decoder: bool = True
    normalised: bool = True
    distillation: bool = True


def face_decoder(features: Float32, faces: Any, steps: int, seed: int) -> tuple[Any, Any]:
    """Train feature (d,) → the own face; returns (decoder, its first layer).

    Args:
        features: (n, d) of the face encoder, not normalised.
        faces: (n, 128, 128, 3) uint8, the person's neutral portrait.
        steps: of 48 people each.
        seed: of the weights and the batches.

    Trained for the mean absolute error of the picture, as Cole et al. 2017 train the texture.
    """
    import tensorflow as tf

    tf.keras.utils.set_random_seed(seed)
    basis, mean, _ = principal_components(faces, min(BASIS, len(faces)))
    layers = tf.keras.layers
    feature = layers.Input((features.shape[1],), name="feature")
    first = layers.Dense(FIRST_LAYER, activation="relu", name="first")
    x = layers.Dense(256, activation="relu")(first(feature))
    picture = layers.Dense(basis.shape[1], trainable=False, name="basis")
    drawn = picture(layers.Dense(len(basis))(x))
    picture.set_weights([basis, mean])
    decoder = tf.keras.Model(feature, layers.Reshape(faces.shape[1:])(drawn))
    optimizer = tf.keras.optimizers.Adam(DECODER_RATE)

    @tf.function
    def train_step(given: Any, wanted: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.abs(decoder(given, training=True) - wanted))
        variables = decoder.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    def make(step: int) -> tuple[Float32, Float32]:
        rows = np.random.default_rng([seed, 71, step]).integers(0, len(features), BATCH)
        return features[rows], faces[rows].astype(np.float32) / np.float32(255.0)

    for given, wanted in _shown(make, steps, "face decoder"):
        train_step(given, wanted)
    return decoder, first


def face_feature_loss(told: Any, seen: Any, first: Any, classify: Any, parts: Parts) -> Any:
    """Return the loss (n,) of features told (n, d) against features seen (n, d).

    Args:
        told: by the voice.
        seen: in the face.
        first: the decoder's first layer.
        classify: the classifier, features (n, d) → logits (n, k).
        parts: which losses to add up.
    """
    import tensorflow as tf

    loss = tf.zeros(tf.shape(told)[0])
    if parts.decoder:
        loss += tf.reduce_sum(tf.abs(first(seen) - first(told)), axis=1)
    if parts.normalised:
        apart = tf.math.l2_normalize(seen, 1) - tf.math.l2_normalize(told, 1)
        loss += NORMALISED * tf.reduce_sum(apart**2, axis=1)
    if parts.distillation:
        logits = [classify(x) / TEMPERATURE for x in (seen, told)]
        loss += DISTILLATION * tf.nn.softmax_cross_entropy_with_logits(
            tf.nn.softmax(logits[0]), logits[1]
        )
    return loss


def train_voice(
    data: Dataset, encoders: Encoders, first: Any, parts: Parts, steps: int, seed: int
) -> Any:
    """Train a voice encoder, whose embedding is the face's feature; returns the Keras model."""
    import tensorflow as tf

    tf.keras.utils.set_random_seed(seed)
    people = data.rows("paired", "train")
    seen = np.zeros((len(data.people), DIM), np.float32)
    portraits = [p for p in (data.pictures[r] for r in people) if p is not None]
    seen[people] = encoders.embed_faces(np.array([p[0] for p in portraits]))
    voice, classes = voice_encoder(LogMelSpec(), DIM), tf.constant(encoders.classes)
    optimizer = tf.keras.optimizers.Adam(VOICE_RATE, **ADAM)

    def classify(features: Any) -> Any:
        return tf.matmul(features, classes, transpose_b=True)

    @tf.function
    def train_step(codes: Any, wanted: Any) -> None:
        with tf.GradientTape() as tape:
            told = voice(codes, training=True)["embedding"]
            loss = tf.reduce_mean(face_feature_loss(told, wanted, first, classify, parts))
        gradients = tape.gradient(loss, voice.trainable_variables, unconnected_gradients="zero")
        optimizer.apply_gradients(zip(gradients, voice.trainable_variables, strict=True))

    def make(step: int) -> tuple[Float32, Float32]:
        rng = np.random.default_rng([seed, 72, step])
        chosen = rng.choice(people, BATCH)
        return voice_batch(data, chosen, rng), seen[chosen]

    for codes, wanted in _shown(make, steps, "voice to face feature"):
        optimizer.learning_rate.assign(
            VOICE_RATE * 0.5 * (1 + np.cos(np.pi * int(optimizer.iterations.numpy()) / steps))
        )
        train_step(codes, wanted)
    return voice


def _shown(make: Any, steps: int, title: str) -> Iterator[Any]:
    from tqdm import tqdm

    return iter(tqdm(prefetch(make, 0, steps), total=steps, desc=title, unit="step"))
