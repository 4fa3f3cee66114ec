"""Both encoders and what is trained with them, as one thing to checkpoint."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge.audio.logmel import LogMelSpec
from edge.types import Float32

from ..networks.face import face_encoder
from ..networks.voice import voice_encoder
from ..recipe import TrainingRecipe
from .batches import centre_crop

DIM = 128
BATCH = 128  # of an evaluation


class Encoders:
    """Both encoders, the linear heads on their space, the classifier and the optimizer."""

    def __init__(self, spec: LogMelSpec, identities: int, recipe: TrainingRecipe) -> None:
        import tensorflow as tf

        self.recipe = recipe
        self.voice = voice_encoder(spec, DIM)
        self.face = face_encoder(DIM)
        self.heads = tf.keras.layers.Dense(8)
        self.heads.build((None, DIM))
        self.quality = tf.keras.layers.Dense(6)
        self.quality.build((None, DIM))
        self.scale = tf.Variable(math.log(10.0), dtype=tf.float32)
        self.classes = tf.Variable(tf.random.normal((identities, DIM), stddev=0.05, seed=1))
        self.optimizer = tf.keras.optimizers.AdamW(
            recipe.learning_rate, weight_decay=recipe.weight_decay, clipnorm=5.0
        )
        self.optimizer.exclude_from_weight_decay(var_list=[self.scale, self.classes])
        self.optimizer.build(self.variables())
        self.step = tf.Variable(0, dtype=tf.int64)

    def variables(self) -> list[Any]:
        """Return what the optimizer changes."""
        return [
            *self.voice.trainable_variables,
            *self.face.trainable_variables,
            *self.heads.trainable_variables,
            *self.quality.trainable_variables,
            self.scale,
            self.classes,
        ]

    def checkpoint(self) -> Any:
        """Return everything that an interrupted run needs, as a `tf.train.Checkpoint`."""
        import tensorflow as tf

        return tf.train.Checkpoint(
            voice=self.voice, face=self.face, heads=self.heads, quality=self.quality,
            scale=self.scale, classes=self.classes, optimizer=self.optimizer, step=self.step,
        )  # fmt: skip

    def hear(self, codes: Any) -> dict[str, Float32]:
        """Return the voice encoder's outputs (n, ...) of feature codes (n, frames, mels) int8."""
        parts = [
            self.voice(codes[i : i + BATCH, ..., None].astype(np.float32) / 32.0, training=False)
            for i in range(0, len(codes), BATCH)
        ]
        return {name: np.concatenate([np.asarray(p[name]) for p in parts]) for name in parts[0]}

    def embed_voices(self, codes: Any) -> Float32:
        """Return raw embeddings (n, d) of feature codes (n, frames, mels) int8."""
        return self.hear(codes)["embedding"]

    def embed_faces(self, pictures: Any) -> Float32:
        """Return raw embeddings (n, d) of pictures (n, 128, 128, 3) uint8."""
        return embed_pictures(self.face, pictures)


def embed_pictures(face: Any, pictures: Any) -> Float32:
    """Return what a face encoder makes (n, d) of pictures (n, 128, 128, 3) uint8."""
    parts = [
        face(centre_crop(pictures[i : i + BATCH]), training=False)
        for i in range(0, len(pictures), BATCH)
    ]
    return np.concatenate([np.asarray(p["embedding"]) for p in parts])
