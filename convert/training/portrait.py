"""Trains the portrait decoder: a renderer on noise-free pairs, and a head that reads embeddings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from edge.types import Float32, UInt8

from ..metrics import unit
from ..networks.portrait import BASIS, latent_head, renderer, standard_age, standard_size
from ..population.faces.appearance import CHILD_UNTIL
from ..population.pictures import TypicalPictures
from ..recipe import TrainingRecipe
from .dataset import Dataset
from .model import Encoders
from .steps import AGE_PRIOR

SAVE_EVERY = 500
SEX_JITTER = 0.08
BATCH = 256
LEARNING_RATE = 3e-3


def train_renderer(
    pictures: TypicalPictures, recipe: TrainingRecipe, folder: Path, seed: int
) -> Any:
    """Train latents → typical portrait, resuming from `folder`; returns the Keras model.

    The basis pictures are the principal components of the renderings. The perceptron learns the
    standardised weights of each rendering; those of large components count more, not as much more
    as in a mean square over pixels, because small ones hold the edges.
    """
    import tensorflow as tf
    from tqdm import tqdm

    tf.keras.utils.set_random_seed(seed)
    basis, mean, wanted = principal_components(pictures.images, min(BASIS, len(pictures.images)))
    model = renderer(basis, mean)
    weights = tf.keras.Model(model.input, model.get_layer("basis_weights").output)
    spread = np.linalg.norm(basis, axis=1)
    importance = tf.constant((spread / spread.mean()) ** 0.3)
    optimizer = tf.keras.optimizers.Adam(LEARNING_RATE)
    done = tf.Variable(0, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, step=done)
    manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1)
    optimizer.build(model.trainable_variables)
    manager.restore_or_initialize()
    sex = tf.constant(pictures.female * 2.0 - 1.0)
    adult = np.where(pictures.years < CHILD_UNTIL, -1.0, 1.0).astype(np.float32)
    age, size = standard_age(pictures.years), standard_size(pictures.size)
    body = tf.stack([adult, age, size], axis=1)
    targets = tf.constant(wanted)

    @tf.function
    def train_step(step: Any) -> Any:
        key = tf.stack([tf.constant(seed, tf.int64), step])
        rows = tf.random.stateless_uniform((BATCH,), key, 0, len(wanted), tf.int32)
        # the staircase's treads are not quite flat
        jitter = tf.random.stateless_normal((BATCH,), key, stddev=SEX_JITTER)
        tread = tf.clip_by_value(tf.gather(sex, rows) + jitter, -1.0, 1.0)
        latents = tf.concat([tread[:, None], tf.gather(body, rows)], axis=1)
        with tf.GradientTape() as tape:
            error = weights(latents, training=True) - tf.gather(targets, rows)
            loss = tf.reduce_mean(tf.abs(error) * importance)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    start, total = int(done.numpy()), recipe.renderer_steps
    with tqdm(total=total, initial=start, desc="renderer", unit="step", smoothing=0.05) as bar:
        for step in range(start, total):
            optimizer.learning_rate.assign(_learning_rate(step / total))
            loss = train_step(tf.constant(step, tf.int64))
            done.assign(step + 1)
            bar.update()
            if (step + 1) % SAVE_EVERY == 0 or step + 1 == total:
                bar.set_postfix(loss=f"{float(loss):.4f}", refresh=False)
                manager.save()
    return model


def principal_components(images: UInt8, count: int) -> tuple[Float32, Float32, Float32]:
    """Return basis (count, p), mean (p,) and standardised weights (n, count) of pictures.

    Args:
        images: (n, 128, 128, 3); p is 128 * 128 * 3.
        count: of components, the largest ones.

    The pictures are about mean + weights @ basis, on 0..1.
    """
    flat = images.reshape(len(images), -1).astype(np.float32) / np.float32(255.0)
    mean = flat.mean(axis=0)
    flat -= mean
    power, directions = np.linalg.eigh((flat @ flat.T).astype(np.float64))
    power, directions = power[::-1][:count], directions[:, ::-1][:, :count]
    scores = directions * np.sqrt(len(images))  # standard deviation 1
    basis = scores.T.astype(np.float32) @ flat / np.float32(len(images))
    return basis, mean, scores.astype(np.float32)


def _learning_rate(done: float) -> float:
    """Warm up over a hundredth, then a cosine to a hundredth."""
    cosine = 0.5 * (1 + math.cos(math.pi * done))
    return LEARNING_RATE * min(1.0, 100 * done + 0.01) * (cosine + 0.01)


def train_latent_head(
    data: Dataset, encoders: Encoders, recipe: TrainingRecipe, seed: int
) -> tuple[Any, Float32]:
    """Train unit embedding → sex, age, size on the training split's voices and faces.

    A voice's sex is what its trait says, so that a portrait is androgynous where the trait is
    undecided; the decorrelated voices, of which that is said most often, teach nothing else.

    Returns:
        The Keras model, and the unit embeddings (n, d) it was trained on (for calibration).
    """
    import tensorflow as tf

    tf.keras.utils.set_random_seed(seed)
    people = data.rows("paired", "train")
    speakers = np.concatenate([people, data.rows("voice_only", "train")])
    clips = np.concatenate([data.clips_of[p] for p in speakers])
    owners = np.concatenate([np.full(len(data.clips_of[p]), p) for p in speakers])
    heard = [encoders.hear(data.codes[clips, version]) for version in (0, 1)]
    voices = unit(np.concatenate([h["embedding"] for h in heard]))
    told = np.concatenate([h["female"][:, 0] for h in heard])
    faces = unit(encoders.embed_faces(np.array([data.pictures[p][1] for p in people])))
    embeddings = np.concatenate([voices, faces])
    rows = np.concatenate([owners, owners, people])
    labels = data.labels
    known = labels.age_weight[rows]
    wanted = {
        "sex": np.concatenate([1.0 / (1.0 + np.exp(-told)), labels.female[people]]),
        "age": standard_age(np.array([data.people[r].years for r in rows], np.float32)),
        "size": standard_size(np.array([data.people[r].size for r in rows], np.float32)),
    }
    model = latent_head(embeddings.shape[1])
    steps = max(1, len(rows) // 128)
    epochs = max(1, recipe.latent_steps // steps)
    schedule = tf.keras.optimizers.schedules.CosineDecay(3e-3, epochs * steps)
    model.compile(
        tf.keras.optimizers.AdamW(schedule, weight_decay=1e-2),
        loss={
            "sex": tf.keras.losses.BinaryCrossentropy(from_logits=True),
            "age": "mae",
            "size": "mse",
        },
    )
    age = np.array(AGE_PRIOR, np.float32)[labels.age_class[rows]] * known
    weights = {"sex": labels.sex_weight[rows], "age": age, "size": known}
    model.fit(embeddings, wanted, sample_weight=weights, batch_size=128, epochs=epochs, verbose=0)
    return model, embeddings
