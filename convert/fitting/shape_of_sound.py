"""The recipe of Seeking the Shape of Sound: two runs, of which the second counts (section 5 to 7).

The first run learns how much each person has to teach (`training.reweighting`), the second starts
anew and uses those weights frozen. Networks start from checkpoints where they are given.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.audio.instance_mel import InstanceMelSpec

from ..training import losses
from ..training.reweighting import IdentityWeights, Weights, batch_weights
from .any_length import DROPOUT, training_graph
from .crops import Batch, Sampler
from .loop import check_batch, run_steps, shares
from .mel_graph import instance_mel
from .people import Person
from .validation import Best

CHECK_EVERY = 5  # looks at the validation list in the second run


@dataclass(frozen=True, slots=True)
class Schedule:
    """The published numbers."""

    batch: int = 64
    weight_steps: int = 2_400  # of the first run
    weight_drops: tuple[int, ...] = (1_000, 2_000)  # after which the learning rate is a tenth
    steps: int = 10_000  # of the second
    drops: tuple[int, ...] = (2_000, 3_000)
    learning_rate: float = 0.01
    momentum: float = 0.9
    decay: float = 1e-4  # of every weight, added to its gradient

    def shortened(self, steps: int) -> Schedule:
        """Return the same schedule with another length, everything in proportion."""
        share = steps / self.steps
        return dataclasses.replace(
            self,
            steps=steps,
            drops=tuple(round(share * step) for step in self.drops),
            weight_steps=max(1, round(share * self.weight_steps)),
            weight_drops=tuple(round(share * step) for step in self.weight_drops),
        )


@dataclass(frozen=True, slots=True)
class Networks:
    """Both encoders (Keras); 128 dimensions each."""

    voice: Any
    face: Any


class Trainer:
    """Networks, the shared classifier and the optimizer of one run."""

    def __init__(
        self,
        build: Callable[[], Networks],
        people: int,
        schedule: Schedule,
        drops: Sequence[int],
        strategy: Any,
        weights: Weights,
        learner: IdentityWeights | None,
    ) -> None:
        import tensorflow as tf

        self.schedule, self.strategy, self._drops = schedule, strategy, drops
        self._weights, self._learner = weights, learner
        with strategy.scope():
            self.networks = build()
            self._voice = training_graph(self.networks.voice)
            self._face = training_graph(self.networks.face)
            dim = self.networks.voice.output_shape["embedding"][-1]
            reach = 1.0 / math.sqrt(dim)  # as PyTorch starts a linear layer
            start = tf.random.uniform((people, dim), -reach, reach)
            self._classes = tf.Variable(start)
            self._optimizer = tf.keras.optimizers.SGD(schedule.learning_rate, schedule.momentum)
            self._optimizer.build(self._variables())
            self.step = tf.Variable(0, dtype=tf.int64)
            # what the first run has learnt so far, for a checkpoint
            self._loss = tf.Variable(np.zeros(people), dtype=tf.float64)
            self._weight = tf.Variable(np.ones(people), dtype=tf.float64)
        self._step = self._compile()

    def parts(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {
            "voice": self.networks.voice, "face": self.networks.face, "classes": self._classes,
            "optimizer": self._optimizer, "step": self.step,
            "loss": self._loss, "weight": self._weight,
        }  # fmt: skip

    def learnt(self) -> Weights:
        """Return the weights (people,) that a first run has learnt."""
        weights: Weights = self._weight.numpy()
        return weights

    def train(self, step: int, batch: Batch) -> float:
        """Take one step; returns its loss."""
        learner = self._learner
        if learner is not None and step:
            learner.restore(self._loss.numpy(), self._weight.numpy())
        drops = sum(step >= drop for drop in self._drops)
        self._optimizer.learning_rate.assign(self.schedule.learning_rate * 0.1**drops)
        weights = batch_weights(self._weights if learner is None else learner.weight, batch.who)
        given = shares(self.strategy, (batch.samples, batch.faces, batch.who, weights))
        loss, own = (
            self.strategy.experimental_local_results(value)[0].numpy()
            for value in self._step(*given)
        )
        if learner is not None:
            learner.observe(batch.who, own)
            learner.update(step + 1)
            self._loss.assign(learner.loss)
            self._weight.assign(learner.weight)
        return float(loss)

    def _variables(self) -> list[Any]:
        networks = self.networks
        return [
            *networks.voice.trainable_variables, *networks.face.trainable_variables, self._classes,
        ]  # fmt: skip

    def _compile(self) -> Any:
        """Return the step over all replicas: (loss, each person's implicit loss)."""
        import tensorflow as tf

        spec, count = InstanceMelSpec(), self.strategy.num_replicas_in_sync

        def everybody(value: Any) -> Any:
            if count == 1:
                return value
            context = tf.distribute.get_replica_context()
            # what is gathered needs a device of its own, which an argument does not have
            return context.all_gather(tf.identity(value), axis=0)

        def dropped(value: Any, which: int) -> Any:
            """Drop the same values in the same step, however often the run was interrupted."""
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            seed = tf.stack([tf.cast(self.step, tf.int32), 2 * tf.cast(replica, tf.int32) + which])
            return tf.nn.experimental.stateless_dropout(value, DROPOUT, seed)

        def one_replica(samples: Any, faces: Any, who: Any, weights: Any) -> tuple[Any, Any]:
            variables = self._variables()
            with tf.GradientTape() as tape:
                heard = self._voice(instance_mel(samples, spec), training=True)["embedding"]
                seen = self._face(faces, training=True)["embedding"]
                # candidates of the explicit loss are the whole batch, wherever it is computed
                heard, seen = (everybody(dropped(z, k)) for k, z in enumerate((heard, seen)))
                who, weights = everybody(who), everybody(weights)
                loss, own = total_loss(heard, seen, self._classes, who, weights)
                shared = loss / count  # gradients are summed over the replicas
            gradients = tape.gradient(shared, variables, unconnected_gradients="zero")
            decay = self.schedule.decay / count
            decayed = [g + decay * v for g, v in zip(gradients, variables, strict=True)]
            self._optimizer.apply_gradients(zip(decayed, variables, strict=True))
            return loss, own

        def step(samples: Any, faces: Any, who: Any, weights: Any) -> Any:
            return self.strategy.run(one_replica, args=(samples, faces, who, weights))

        if count > 1:
            return tf.function(step, reduce_retracing=True)
        shapes = (((None, None), "float32"), ((None, 112, 112, 3), "float32"))
        labels = (((None,), "int32"), ((None,), "float32"))
        signature = [tf.TensorSpec(shape, kind) for shape, kind in (*shapes, *labels)]
        return tf.function(step, signature)  # crops of all lengths share one graph


def total_loss(voices: Any, faces: Any, classes: Any, who: Any, weights: Any) -> tuple[Any, Any]:
    """Return the loss of a batch, and each person's implicit loss (n,), of both modalities.

    As published, weights act on the implicit loss only through their mean in the batch.
    """
    import tensorflow as tf

    own = losses.implicit(voices, classes, who) + losses.implicit(faces, classes, who)
    loss = tf.reduce_mean(own) * tf.reduce_mean(weights)
    return loss + tf.reduce_mean(weights * losses.explicit(voices, faces)), own


def fit(
    build: Callable[[], Networks],
    people: Sequence[Person],
    schedule: Schedule,
    folder: Path,
    strategy: Any,
    seed: int,
    threads: int,
    look: Callable[[Networks], float] | None = None,
) -> Networks:
    """Train, resuming from what `folder` holds; returns the networks that did best.

    Args:
        build: makes both networks with the weights they start from.
        people: of the training split.
        schedule: how long.
        folder: for checkpoints.
        strategy: of `loop.find_strategy`.
        seed: of everything random.
        threads: files read at a time.
        look: 1:2 matching on people held out, by which the best is kept; None keeps the last.

    Raises:
        ConfigError: the batch fits neither people nor replicas.
        InputError: a file cannot be used; names it.
    """
    import tensorflow as tf

    check_batch(strategy, schedule.batch)
    sampler = Sampler(people, schedule.batch, seed, threads)
    tf.keras.utils.set_random_seed(seed)
    kept = folder / "weights.npy"
    if not kept.is_file():
        learner = IdentityWeights(len(people), schedule.weight_steps)
        first = Trainer(
            build, len(people), schedule, schedule.weight_drops, strategy, learner.weight, learner
        )
        run_steps(first, sampler.make, schedule.weight_steps, folder / "first", "identity weights")
        np.save(kept, first.learnt())
    tf.keras.utils.set_random_seed(seed)
    weights: Weights = np.load(kept)
    main = Trainer(build, len(people), schedule, schedule.drops, strategy, weights, None)
    best = Best(main.networks, folder / "best", look, max(1, schedule.steps // CHECK_EVERY))
    run_steps(main, sampler.make, schedule.steps, folder / "second", "encoders", best.after)
    best.restore()
    return main.networks
