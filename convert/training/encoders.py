"""Trains both encoders into one space: faces on traits first, then both together, then closer.

With `weight_steps` in the recipe, a first run learns the identities' weights (reweighting.py) and
the run that counts uses them frozen.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np

from edge.audio.logmel import LogMelSpec
from edge.errors import ConfigError
from edge.types import Float32

from ..recipe import TrainingRecipe
from .batches import prefetch
from .dataset import Dataset
from .model import Encoders
from .reweighting import IdentityWeights, Weights, batch_weights
from .sampling import Sampler
from .selection import Best
from .steps import training_steps

CHECK_EVERY = 100  # steps between looks at the validation split
SAVE_EVERY = 100
ALIGNMENT_RATE = 0.35  # of the learning rate, in the last phase
KEPT_FROM = 0.8  # of the steps; before, the learning rate is so high that the figures jump


def train_encoders(
    data: Dataset,
    spec: LogMelSpec,
    recipe: TrainingRecipe,
    folder: Path,
    seed: int,
    law: Float32 | None = None,
) -> Encoders:
    """Train, resuming from the last checkpoints in `folder`.

    Args:
        data: the population.
        spec: of the voice encoder's features.
        recipe: steps, batch, weights of the losses.
        folder: for checkpoints.
        seed: of everything random.
        law: the ideal observer's scores of the training pairs; needed when `recipe.law` is not 0.

    Returns:
        The encoders of the late step that matched the validation split best.
    """
    weights = np.ones(len(data.rows("paired", "train")))
    if recipe.weight_steps:
        weights = learn_weights(data, spec, recipe, folder / "weights", seed, law)
    return _run(data, spec, recipe, folder, seed, law, weights, None)


def load_encoders(
    data: Dataset, spec: LogMelSpec, recipe: TrainingRecipe, folder: Path
) -> Encoders:
    """Return the encoders that `train_encoders` left in `folder`, as it returned them.

    Raises:
        ConfigError: nothing was trained there.
    """
    import tensorflow as tf

    kept = tf.train.latest_checkpoint(str(folder))
    if kept is None:
        raise ConfigError(f"{folder}: nothing trained yet; run: earsight-convert train")
    model = Encoders(spec, len(data.rows("paired", "train")), recipe)
    model.checkpoint().restore(kept).expect_partial()
    Best(model, data, folder / "best").restore()
    return model


def learn_weights(
    data: Dataset, spec: LogMelSpec, recipe: TrainingRecipe, folder: Path, seed: int,
    law: Float32 | None,
) -> Weights:  # fmt: skip
    """Return the identities' weights (n,) from a first run of `recipe.weight_steps` steps."""
    kept = folder / "weights.npy"
    if not kept.exists():
        first = dataclasses.replace(recipe, joint_steps=recipe.weight_steps, alignment_steps=0)
        learner = IdentityWeights(len(data.rows("paired", "train")), recipe.weight_steps)
        _run(data, spec, first, folder, seed, law, learner.weight, learner)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(kept, learner.weight)
    weights: Weights = np.load(kept)
    return weights


def _run(
    data: Dataset, spec: LogMelSpec, recipe: TrainingRecipe, folder: Path, seed: int,
    law: Float32 | None, weights: Weights, learner: IdentityWeights | None,
) -> Encoders:  # fmt: skip
    """Train one run; a run that learns weights starts over when it was interrupted."""
    import tensorflow as tf
    from tqdm import tqdm

    tf.keras.utils.set_random_seed(seed)
    model = Encoders(spec, len(weights), recipe)
    manager = tf.train.CheckpointManager(model.checkpoint(), str(folder), max_to_keep=1)
    if learner is None:
        manager.restore_or_initialize()
    total = recipe.face_steps + recipe.joint_steps + recipe.alignment_steps
    start = int(model.step.numpy())
    batches = prefetch(Sampler(data, recipe, seed, law).make, start, total)
    face_step, joint_step = training_steps(model)
    best = Best(model, data, folder / "best")
    title = "encoders" if learner is None else "identity weights"
    with tqdm(total=total, initial=start, desc=title, unit="step", smoothing=0.05) as bar:
        for step, batch in zip(range(start, total), batches, strict=True):
            model.optimizer.learning_rate.assign(_learning_rate(step, recipe))
            if step < recipe.face_steps:
                loss = face_step(batch["faces"], batch["face_labels"])
            else:
                batch["weights"] = batch_weights(weights, batch["identities"])
                loss, own = joint_step(batch, step >= total - recipe.alignment_steps)
                if learner is not None:
                    learner.observe(batch["identities"], own.numpy())
                    learner.update(step - recipe.face_steps + 1)
            model.step.assign(step + 1)
            bar.update()
            if step % 10 == 0:
                bar.set_postfix(loss=f"{float(loss):.3f}", refresh=False)
            if learner is None:
                if (step + 1) % SAVE_EVERY == 0 or step + 1 == total:
                    manager.save()
                last = step + 1 == total
                if step >= recipe.face_steps and (last or (step + 1) % CHECK_EVERY == 0):
                    bar.write(f"step {step + 1}: {best.look(keep=step + 1 >= KEPT_FROM * total)}")
    best.restore()
    return model


def _learning_rate(step: int, recipe: TrainingRecipe) -> float:
    """One cycle for each of the three phases: warm-up over a tenth, then a cosine to zero."""
    peak, done = recipe.learning_rate, step / max(recipe.face_steps, 1)
    joint = step - recipe.face_steps
    if joint >= recipe.joint_steps:
        peak *= ALIGNMENT_RATE
        done = (joint - recipe.joint_steps) / recipe.alignment_steps
    elif joint >= 0:
        done = joint / recipe.joint_steps
    warm = done / 0.1 if done < 0.1 else 0.5 * (1 + math.cos(math.pi * (done - 0.1) / 0.9))
    return peak * warm + 0.005 * recipe.learning_rate
