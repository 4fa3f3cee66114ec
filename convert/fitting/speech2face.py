"""The recipe of Speech2Face: a voice is taught the feature of its own face (section 4).

Adam (beta 0.5, epsilon 1e-4), 0.001 times 0.95 every 10,000 steps, 8 voices a step, three epochs.
Of the three losses (`training.face_feature`) those are used whose frozen parts are given: the face
decoder's first layer, VGG-Face's last. Without either, the distance of the normalised features is
left, with weight 1, as one re-implementation (saiteja-talluri) trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.audio.compressed_stft import CompressedStftSpec
from edge.errors import ConfigError
from edge.types import Float32

from ..datasets.reading import published_voice
from ..training.face_feature import ADAM, NORMALISED, Parts, face_feature_loss
from .loop import check_batch, run_steps, shares
from .people import Person

BATCH, EPOCHS = 8, 3
LEARNING_RATE, DECAY, DECAY_EVERY = 1e-3, 0.95, 10_000


@dataclass(frozen=True, slots=True)
class Teachers:
    """Frozen parts of other networks, where they are at hand."""

    first: Any = None  # the face decoder's first layer, (n, 4096) → (n, 1000)
    classify: Any = None  # VGG-Face's last layer, (n, 4096) → logits (n, 2622)


class Voices:
    """Draws batches of voices with their persons' features; an epoch hears every voice once."""

    def __init__(
        self, people: Sequence[Person], targets: Float32, size: int, seed: int, threads: int
    ) -> None:
        self._files = [(v.path, row) for row, p in enumerate(people) for v in p.voices]
        self._targets, self._size, self._seed = targets, size, seed
        self._pool = ThreadPoolExecutor(threads)
        if not 1 <= size <= len(self._files):
            raise ConfigError(f"--batch: is {size}, must be 1 to {len(self._files)} voices")

    @property
    def steps(self) -> int:
        """Steps of the published three epochs."""
        return EPOCHS * (len(self._files) // self._size)

    def make(self, step: int) -> tuple[Float32, Float32]:
        """Return features (n, 598, 257, 2) and targets (n, 4096) of a step.

        Raises:
            InputError: a file cannot be used; names it.
        """
        steps = len(self._files) // self._size
        rng = np.random.default_rng([self._seed, 4, step // steps])
        rows = rng.permutation(len(self._files))[step % steps * self._size :][: self._size]
        paths, owners = zip(*(self._files[row] for row in rows), strict=True)
        heard = self._pool.map(published_voice, paths, [CompressedStftSpec()] * len(paths))
        features = np.concatenate(list(heard)).astype(np.float32)
        return features, np.asarray(self._targets[list(owners)], np.float32)


class Trainer:
    """The voice encoder and its optimizer."""

    def __init__(self, build: Any, teachers: Teachers, strategy: Any) -> None:
        import tensorflow as tf

        self.strategy, self._teachers = strategy, teachers
        with strategy.scope():
            self.voice = build()
            self._optimizer = tf.keras.optimizers.Adam(LEARNING_RATE, **ADAM)
            self._optimizer.build(self.voice.trainable_variables)
            self.step = tf.Variable(0, dtype=tf.int64)
        self._step = self._compile()

    def parts(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"voice": self.voice, "optimizer": self._optimizer, "step": self.step}

    def train(self, step: int, batch: tuple[Float32, Float32]) -> float:
        """Take one step; returns its loss."""
        self._optimizer.learning_rate.assign(LEARNING_RATE * DECAY ** (step // DECAY_EVERY))
        loss = self._step(shares(self.strategy, batch))
        return float(self.strategy.reduce("MEAN", loss, axis=None))

    def _compile(self) -> Any:
        import tensorflow as tf

        count, teachers = self.strategy.num_replicas_in_sync, self._teachers
        parts = Parts(teachers.first is not None, True, teachers.classify is not None)
        alone = not parts.decoder and not parts.distillation

        def one_replica(features: Any, wanted: Any) -> Any:
            variables = self.voice.trainable_variables
            with tf.GradientTape() as tape:
                told = self.voice(features, training=True)["embedding"]
                losses = face_feature_loss(told, wanted, teachers.first, teachers.classify, parts)
                loss = tf.reduce_mean(losses) / (NORMALISED if alone else 1.0)
                shared = loss / count  # gradients are summed over the replicas
            gradients = tape.gradient(shared, variables, unconnected_gradients="zero")
            self._optimizer.apply_gradients(zip(gradients, variables, strict=True))
            return loss

        @tf.function  # type: ignore[untyped-decorator]
        def step(given: Any) -> Any:
            return self.strategy.run(one_replica, args=given)

        return step


def fit(
    build: Any,
    voices: Voices,
    teachers: Teachers,
    steps: int,
    folder: Path,
    strategy: Any,
    size: int,
    seed: int,
) -> Any:
    """Train, resuming from what `folder` holds; returns the voice encoder (Keras).

    Raises:
        ConfigError: the batch cannot be dealt out to the replicas.
        InputError: a file cannot be used; names it.
    """
    import tensorflow as tf

    check_batch(strategy, size)
    tf.keras.utils.set_random_seed(seed)
    trainer = Trainer(build, teachers, strategy)
    run_steps(trainer, voices.make, steps, folder / "voice", "voice to face feature")
    return trainer.voice
