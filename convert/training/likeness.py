"""Draws portraits in which the face encoder sees what the voice encoder heard.

The latent head is taught the truth about each speaker, and so draws the mean of all who sound like
that. How far each latent must move a face until the face encoder takes note of it, the head does
not know. Here its portraits are shown to the frozen face encoder, whose embedding has to point
where the voice's does, as Speech2Face compares features (its normalised L2 loss). The portrait's
sex is left alone: it is the trait's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edge.types import Float32

from ..networks.face import SIZE
from ..networks.portrait import AGE_AND_SIZE, TAUGHT_STEEPNESS, portrait_decoder
from .batches import MARGIN

BATCH = 64
LEARNING_RATE = 1e-3
# Weight of what the head said before, in standard ages and sizes. With earlier encoders .1
# makes portraits fit faces better by one point of 1:2, but draws 11 of 167 recordings of real
# people (docs/real_voices.md) as older than 65, where .3 draws 2. No command repeats it.
FAITHFUL = 0.3
HELD = ("age", "size")


def tune_latent_head(
    head: Any, draw: Any, face: Any, voices: Float32, steps: int, seed: int
) -> None:
    """Train the layers of `head` that read age and size; everything else stays as it is.

    Args:
        head: `networks.portrait.latent_head`, trained.
        draw: the renderer.
        face: the face encoder.
        voices: (n, d) unit embeddings of the training split: voices, faces among them.
        steps: of 64 portraits; 0 leaves the head as it is.
        seed: of the batches.
    """
    import tensorflow as tf
    from tqdm import tqdm

    decoder = portrait_decoder(head, draw, voices.shape[1], TAUGHT_STEEPNESS)
    tuned = age_and_size_variables(head)
    schedule = tf.keras.optimizers.schedules.CosineDecay(LEARNING_RATE, max(1, steps))
    optimizer = tf.keras.optimizers.Adam(schedule)
    heard = tf.constant(voices)
    said = head(heard)

    @tf.function
    def train_step(rows: Any) -> Any:
        voice = tf.gather(heard, rows)
        with tf.GradientTape() as tape:
            seen = face(framed(decoder, voice), training=False)["embedding"]
            seen = tf.math.l2_normalize(seen, 1)
            loss = tf.reduce_mean(1.0 - tf.reduce_sum(seen * voice, axis=1))
            loss = faithful(loss, head(voice), {k: tf.gather(said[k], rows) for k in HELD})
        optimizer.apply_gradients(zip(tape.gradient(loss, tuned), tuned, strict=True))
        return loss

    rng = np.random.default_rng([seed, 71])
    with tqdm(total=steps, desc="likeness", unit="step", smoothing=0.05) as bar:
        for step in range(steps):
            loss = train_step(tf.constant(rng.integers(0, len(voices), BATCH)))
            bar.update()
            if step % 10 == 0:
                bar.set_postfix(loss=f"{float(loss):.4f}", refresh=False)


def age_and_size_variables(head: Any) -> list[Any]:
    """Return what may change in a latent head whose sex is to stay."""
    return [v for name in AGE_AND_SIZE for v in head.get_layer(name).trainable_variables]


def framed(decoder: Any, voices: Any) -> Any:
    """Return portraits as the face encoder is shown them, (n, 112, 112, 3), with a gradient."""
    import tensorflow as tf

    picture = tf.clip_by_value(decoder(voices)["portrait"], 0.0, 1.0)
    return picture[:, MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]


def faithful(loss: Any, now: Mapping[str, Any], said: Mapping[str, Any]) -> Any:
    """Return a loss with what it costs to say another age or size than before."""
    import tensorflow as tf

    for name in HELD:
        loss += FAITHFUL * tf.reduce_mean((now[name] - said[name]) ** 2)
    return loss
