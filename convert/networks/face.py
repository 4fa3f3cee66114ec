"""The face encoder: an aligned photo → the same space as the voice encoder."""

from __future__ import annotations

from typing import Any

from .blocks import convolution, residual

SIZE = 112  # pixels, both sides
FEATURES = "features"  # the layer whose output portrait_adapter reads
ADAPTER_WIDTH = 16  # 40 kB; with more, all three models might not stay on an Edge TPU


def face_encoder(dim: int) -> Any:
    """Build the face encoder (Keras).

    Input `image` (1, 112, 112, 3), sRGB 0..1. Output `embedding` (dim,), not normalised. The last
    feature map is flattened, not averaged: proportions are positions.
    """
    import tensorflow as tf

    layers = tf.keras.layers
    image = layers.Input((SIZE, SIZE, 3), name="image")
    # centred inside the graph, so that the contract is plain 0..1 and the offset folds away
    x = layers.Rescaling(4.0, offset=-1.8)(image)
    x = convolution(x, 24, kernel=3, stride=2)  # 56
    x = residual(x, 32, stride=(2, 2))  # 28
    x = residual(x, 64, stride=(2, 2))  # 14
    x = residual(x, 96, stride=(2, 2))  # 7
    x = convolution(x, 48, kernel=1)
    x = layers.Flatten(name=FEATURES)(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(dim, use_bias=False)(x)
    embedding = layers.BatchNormalization(momentum=0.95, name="embedding")(x)
    return tf.keras.Model(image, {"embedding": embedding}, name="face_encoder")


def portrait_adapter(features: int, dim: int) -> Any:
    """Build features of a picture (n,) → what to add to its embedding (dim,); nothing at first.

    A residual adapter (Rebuffi et al. 2017) for drawn faces, beside a face encoder that stays as it
    is; rectified, so that it can be silent on photos.
    """
    import tensorflow as tf

    layers = tf.keras.layers
    read = layers.Input((features,), name=FEATURES)
    x = layers.Dense(ADAPTER_WIDTH, activation="relu")(read)
    added = layers.Dense(dim, use_bias=False, kernel_initializer="zeros")(x)
    return tf.keras.Model(read, added, name="portrait_adapter")


def with_adapter(face: Any, adapter: Any) -> Any:
    """Join a face encoder and its portrait adapter; inputs and outputs are the encoder's."""
    import tensorflow as tf

    added = adapter(face.get_layer(FEATURES).output)
    embedding = tf.keras.layers.Add()([face.output["embedding"], added])
    return tf.keras.Model(face.input, {"embedding": embedding}, name="face_encoder")
