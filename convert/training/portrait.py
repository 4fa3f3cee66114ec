"""Trains the portrait decoder: a renderer on noise-free pairs, and a head that reads embeddings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from edge.types import Float32

from ..metrics import unit
from ..networks.portrait import latent_head, renderer, standard_age, standard_size
from ..population.pictures import TypicalPictures
from ..recipe import TrainingRecipe
from .batches import prefetch
from .dataset import Dataset
from .encoders import Encoders

SAVE_EVERY = 100
SEX_JITTER = 0.12  # the staircase's treads are not quite flat
# Weight of child, adult, elderly when age is read from an embedding. Synthetic adults are cleaner
# than real ones, who would be drawn too old; most people who speak to a device are adults.
AGE_PRIOR = (0.6, 1.0, 0.25)


def train_renderer(
    pictures: TypicalPictures, recipe: TrainingRecipe, folder: Path, seed: int
) -> Any:
    """Train latents → typical portrait, resuming from `folder`; returns the Keras model."""
    import tensorflow as tf
    from tqdm import tqdm

    tf.keras.utils.set_random_seed(seed)
    model = renderer()
    optimizer = tf.keras.optimizers.Adam(2e-3)
    done = tf.Variable(0, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, step=done)
    manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1)
    optimizer.build(model.trainable_variables)
    checkpoint.restore(manager.latest_checkpoint)
    weight = _face_weight()

    @tf.function
    def train_step(latents: Any, images: Any) -> Any:
        with tf.GradientTape() as tape:
            drawn = model(latents, training=True)["portrait"]
            loss = tf.reduce_mean(tf.abs(drawn - images) * weight)
            # edges of both pictures are compared too: a plain mean difference forgives blur
            for axis in (1, 2):
                loss += 0.5 * tf.reduce_mean(tf.abs(_edges(drawn, axis) - _edges(images, axis)))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    def make(step: int) -> tuple[Float32, Float32]:
        rng = np.random.default_rng([seed, 43, step])
        rows = rng.choice(len(pictures.images), recipe.decoder_batch)
        sex = pictures.female[rows] * 2.0 - 1.0
        sex = np.clip(sex + rng.normal(0, SEX_JITTER, len(rows)), -1.0, 1.0).astype(np.float32)
        age, size = standard_age(pictures.years[rows]), standard_size(pictures.size[rows])
        images = pictures.images[rows].astype(np.float32) / np.float32(255.0)
        return np.stack([sex, age, size], axis=1), images

    start, total = int(done.numpy()), recipe.decoder_steps
    with tqdm(total=total, initial=start, desc="renderer", unit="step", smoothing=0.05) as bar:
        for step, (latents, images) in enumerate(prefetch(make, start, total), start):
            cosine = 0.5 * (1 + math.cos(math.pi * step / total))
            optimizer.learning_rate.assign(3e-3 * min(1.0, (step + 1) / 50) * (cosine + 0.01))
            loss = train_step(latents, images)
            done.assign(step + 1)
            bar.update()
            if step % 10 == 0:
                bar.set_postfix(loss=f"{float(loss):.4f}", refresh=False)
            if (step + 1) % SAVE_EVERY == 0 or step + 1 == total:
                manager.save()
    return model


def train_latent_head(
    data: Dataset, encoders: Encoders, recipe: TrainingRecipe, seed: int
) -> tuple[Any, Float32]:
    """Train unit embedding → sex, age, size on the training split's voices and faces.

    Returns:
        The Keras model, and the unit embeddings (n, d) it was trained on (for calibration).
    """
    import tensorflow as tf

    tf.keras.utils.set_random_seed(seed)
    people = data.rows("paired", "train")
    clips = np.concatenate([data.clips_of[p] for p in people])
    owners = np.concatenate([np.full(len(data.clips_of[p]), p) for p in people])
    voices = unit(np.concatenate([encoders.embed_voices(data.codes[clips, v]) for v in (0, 1)]))
    faces = unit(encoders.embed_faces(np.array([data.pictures[p][1] for p in people])))
    embeddings = np.concatenate([voices, faces])
    rows = np.concatenate([owners, owners, people])
    labels = data.labels
    wanted = {
        "sex": labels.female[rows],
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
    everywhere = np.ones(len(rows), np.float32)
    age = np.array(AGE_PRIOR, np.float32)[labels.age_class[rows]]
    weights = {"sex": labels.sex_weight[rows], "age": age, "size": everywhere}
    model.fit(embeddings, wanted, sample_weight=weights, batch_size=128, epochs=epochs, verbose=0)
    return model, embeddings


def _face_weight() -> Float32:
    """Return pixel weights (1, 128, 128, 1) of mean 1: the middle of the face counts more."""
    y, x = np.mgrid[0:128, 0:128]
    weight = 0.6 + 1.2 * np.exp(-(((x - 64) / 34.0) ** 2 + ((y - 66) / 42.0) ** 2))
    return np.asarray((weight / weight.mean())[None, :, :, None], dtype=np.float32)


def _edges(images: Any, axis: int) -> Any:
    """Return the difference of neighbouring pixels of images (n, h, w, 3) along an axis."""
    return images[:, 1:] - images[:, :-1] if axis == 1 else images[:, :, 1:] - images[:, :, :-1]
