"""Students of voice encoders on a log-mel: the same input and output, much less work.

Of plain convolutions and averages, so that int8 holds them throughout: no softmax, no square root.
"""

from __future__ import annotations

from typing import Any

from edge.audio.instance_mel import InstanceMelSpec
from edge.audio.kaldi_fbank import KaldiFbankSpec

from .shape_of_sound_voice import DIM as SHAPE_OF_SOUND_DIM
from .torch_layers import batch_norm
from .x_vector import DIM as X_VECTOR_DIM

# channels, stride over time and frequency
BLOCKS = ((32, (2, 2)), (64, (2, 1)), (64, (1, 1)), (128, (2, 2)), (128, (1, 1)), (192, (1, 2)))


def shape_of_sound_voice_student(spec: InstanceMelSpec | None = None) -> Any:
    """Build Shape of Sound's (Keras): `features` (1, 1001, 40, 1) → `embedding` (128,)."""
    return _student((spec or InstanceMelSpec()).shape, SHAPE_OF_SOUND_DIM)


def x_vector_student(spec: KaldiFbankSpec | None = None) -> Any:
    """Build the x-vector's (Keras): `features` (1, 600, 80, 1) → `embedding` (512,)."""
    return _student((spec or KaldiFbankSpec()).shape, X_VECTOR_DIM)


def _student(shape: tuple[int, int, int], dim: int) -> Any:
    """Build a depthwise separable network that averages over time last."""
    import tensorflow as tf

    layers = tf.keras.layers
    features = layers.Input(shape, name="features")
    x = layers.Conv2D(24, 5, (2, 1), "same", use_bias=False, name="conv1")(features)
    x = layers.ReLU()(batch_norm(x, "bn1"))
    for number, (channels, stride) in enumerate(BLOCKS, 2):
        # Keras' depthwise convolution wants equal strides, so pooling does the uneven ones
        x = layers.DepthwiseConv2D(3, 1, "same", use_bias=False, name=f"depthwise{number}")(x)
        x = layers.ReLU()(batch_norm(x, f"depthwise_bn{number}"))
        x = layers.AveragePooling2D(stride)(x) if stride != (1, 1) else x
        x = layers.Conv2D(channels, 1, use_bias=False, name=f"conv{number}")(x)
        x = layers.ReLU()(batch_norm(x, f"bn{number}"))
    x = layers.Conv2D(256, 1, use_bias=False, name="last")(x)
    x = layers.ReLU()(batch_norm(x, "last_bn"))
    x = layers.AveragePooling2D((x.shape[1], 1))(x)
    x = layers.Dense(dim, use_bias=False, name="fc")(layers.Flatten()(x))
    embedding = batch_norm(x, "embedding")
    return tf.keras.Model(features, {"embedding": embedding}, name="voice_encoder")
