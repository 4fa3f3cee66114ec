"""Encoders that train and convert in seconds, with the inputs and outputs of the published ones."""

from __future__ import annotations

from convert.fitting.shape_of_sound import Networks


def tiny_encoders(size: str) -> Networks:
    """Build both, whatever size is asked for."""
    import tensorflow as tf

    layers = tf.keras.layers

    def body(x):
        for channels, stride in ((8, (4, 2)), (16, (2, 2)), (32, (2, 2))):
            x = layers.Conv2D(channels, 3, stride, "same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        return x

    features = layers.Input((1001, 40, 1), name="features")
    x = body(features)
    x = layers.Flatten()(layers.AveragePooling2D((x.shape[1], 1))(x))
    voice = layers.Dense(128, name="embedding")(x)
    image = layers.Input((112, 112, 3), name="image")
    face = layers.Dense(128, name="embedding")(layers.GlobalAveragePooling2D()(body(image)))
    return Networks(
        tf.keras.Model(features, {"embedding": voice}, name="voice_encoder"),
        tf.keras.Model(image, {"embedding": face}, name="face_encoder"),
    )
