"""Draws and sees portraits so that least is lost between the two: head and adapter together.

The latent head learnt to draw for a face encoder that took portraits for photos, and the adapter
learnt to see what that head draws. Here both go on together, each adapting to the other: a portrait
has three numbers to say what a voice tells of a face, and what one of them means is theirs to
settle. The head is held to the ages and sizes it said, the adapter to silence on photos.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..networks.portrait import TAUGHT_STEEPNESS, portrait_decoder
from .adapter import Lesson
from .likeness import BATCH, HELD, LEARNING_RATE, age_and_size_variables, faithful, framed


def train_together(
    lesson: Lesson, trunk: Any, head: Any, draw: Any, adapter: Any, steps: int, seed: int
) -> None:  # fmt: skip
    """Train the layers of `head` that read age and size, and `adapter`; nothing else changes.

    Args:
        lesson: what the adapter was taught with.
        trunk: of the face encoder.
        head: `networks.portrait.latent_head`, tuned.
        draw: the renderer.
        adapter: `networks.face.portrait_adapter`, trained.
        steps: of 64 portraits.
        seed: of the batches.
    """
    import tensorflow as tf
    from tqdm import tqdm

    rng = np.random.default_rng([seed, 97])
    decoder = portrait_decoder(head, draw, lesson.voices.shape[1], TAUGHT_STEEPNESS)
    tuned = age_and_size_variables(head) + adapter.trainable_variables
    schedule = tf.keras.optimizers.schedules.CosineDecay(LEARNING_RATE, max(1, steps))
    optimizer = tf.keras.optimizers.Adam(schedule)
    said = {name: np.asarray(latent) for name, latent in head(lesson.voices).items()}

    @tf.function
    def train_step(before: Any, shown: Any, other: Any, heard: Any, *truth: Any) -> Any:
        with tf.GradientTape() as tape:
            drawn = trunk(framed(decoder, heard), training=False)
            loss = lesson.loss_of(adapter, drawn, shown, other, heard, *truth)
            loss = faithful(loss, head(heard), before)
        optimizer.apply_gradients(zip(tape.gradient(loss, tuned), tuned, strict=True))
        return loss

    with tqdm(total=steps, desc="agreement", unit="step", smoothing=0.05) as bar:
        for step in range(steps):
            rows = rng.integers(0, len(lesson.voices), BATCH)
            before = {name: said[name][rows] for name in HELD}
            loss = train_step(before, *lesson.batch(rows, step, rng))
            bar.update()
            if step % 10 == 0:
                bar.set_postfix(loss=f"{float(loss):.4f}", refresh=False)
