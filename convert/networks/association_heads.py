"""Small heads that take features of two other networks into one space of voices and faces."""

from __future__ import annotations

from typing import Any

DIM = 64
IMAGE = (512, 256, 128, DIM)  # widths; the extractors before them are not named by their authors
VOICE = (192, 164, 128, DIM)


def association_head(widths: tuple[int, ...], prefix: str) -> Any:
    """Build a head (Keras): `features` (widths[0],) → `embedding` (widths[-1],), for cosine.

    Linear, batch norm and ReLU, the last layer plain linear; layers are named `prefix`fc1 and so
    on.
    """
    import tensorflow as tf

    from .torch_layers import batch_norm

    layers = tf.keras.layers
    features = layers.Input((widths[0],), name="features")
    x = features
    for number, width in enumerate(widths[1:-1], 1):
        x = layers.Dense(width, name=f"{prefix}fc{number}")(x)
        x = layers.ReLU()(batch_norm(x, f"{prefix}bn{number}"))
    x = layers.Dense(widths[-1], name=f"{prefix}fc{len(widths) - 1}")(x)
    embedding = layers.Activation("linear", name="embedding")(x)
    return tf.keras.Model(features, {"embedding": embedding})
