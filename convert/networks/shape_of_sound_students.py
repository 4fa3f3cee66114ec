"""The student of Shape of Sound's voice encoder: the same input and output, much less work."""

from __future__ import annotations

from typing import Any

from edge.audio.instance_mel import InstanceMelSpec

from .shape_of_sound_voice import DIM
from .torch_layers import batch_norm

# channels, stride over time and frequency
VOICE = ((32, (2, 2)), (64, (2, 1)), (64, (1, 1)), (128, (2, 2)), (128, (1, 1)), (192, (1, 2)))


def shape_of_sound_voice_student(spec: InstanceMelSpec | None = None) -> Any:
    """Build the voice student (Keras): `features` (1, 1001, 40, 1) → `embedding` (128,)."""
    import tensorflow as tf

    layers = tf.keras.layers
    spec = spec or InstanceMelSpec()
    features = layers.Input(spec.shape, name="features")
    x = layers.Conv2D(24, 5, (2, 1), "same", use_bias=False, name="conv1")(features)
    x = layers.ReLU()(batch_norm(x, "bn1"))
    for number, (channels, stride) in enumerate(VOICE, 2):
        # Keras' depthwise convolution wants equal strides, so pooling does the uneven ones
        x = layers.DepthwiseConv2D(3, 1, "same", use_bias=False, name=f"depthwise{number}")(x)
        x = layers.ReLU()(batch_norm(x, f"depthwise_bn{number}"))
        x = layers.AveragePooling2D(stride)(x) if stride != (1, 1) else x
        x = layers.Conv2D(channels, 1, use_bias=False, name=f"conv{number}")(x)
        x = layers.ReLU()(batch_norm(x, f"bn{number}"))
    x = layers.Conv2D(256, 1, use_bias=False, name="last")(x)
    x = layers.ReLU()(batch_norm(x, "last_bn"))
    x = layers.AveragePooling2D((x.shape[1], 1))(x)
    x = layers.Dense(DIM, use_bias=False, name="fc")(layers.Flatten()(x))
    embedding = batch_norm(x, "embedding")
    return tf.keras.Model(features, {"embedding": embedding}, name="voice_encoder")
