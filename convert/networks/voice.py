"""The voice encoder: one window of log-mel codes → embedding and traits."""

from __future__ import annotations

from typing import Any

from edge.audio.logmel import LogMelSpec

from .blocks import convolution, residual

TRAITS = ("female", "child", "ln_f0", "ln_vtl", "age_low", "age_years", "age_high")


def voice_encoder(spec: LogMelSpec, dim: int) -> Any:
    """Build the voice encoder (Keras).

    A small residual network over (time, mel). Time is averaged, the four remaining bands are kept
    apart, because where the energy lies in frequency is what vocal-tract length changes. A 1x1
    convolution before the average lets the mean of rectified features stand in for the standard
    deviation of usual statistics pooling, whose square root the Edge TPU does not take.

    Input `features` (1, frames, mels, 1), real value = code / 32. Outputs `embedding` (dim,), not
    normalised, and one standardised number per trait (`edge.manifest.TraitInfo` undoes that).
    """
    import tensorflow as tf

    layers = tf.keras.layers
    features = layers.Input((spec.frames, spec.mels, 1), name="features")
    x = convolution(features, 16, kernel=5, stride=2)  # 128 x 32
    x = residual(x, 24, stride=(2, 2))  # 64 x 16
    x = residual(x, 48, stride=(2, 2))  # 32 x 8
    x = residual(x, 96, stride=(1, 2))  # 32 x 4
    x = convolution(x, 160, kernel=1)
    x = layers.AveragePooling2D((x.shape[1], 1))(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(dim, use_bias=False)(x)
    embedding = layers.BatchNormalization(momentum=0.95, name="embedding")(x)
    hidden = layers.Dropout(0.1)(embedding)
    traits = {name: layers.Dense(1, name=name)(hidden) for name in TRAITS}
    return tf.keras.Model(features, {"embedding": embedding, **traits}, name="voice_encoder")
