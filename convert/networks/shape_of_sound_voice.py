"""Shape of Sound's voice encoder: Thin-ResNet-34 with self-attentive pooling, and its head.

Wen et al., "Seeking the Shape of Sound", CVPR 2021 (arXiv 2103.07293); the trunk is the ResNetSE34L
of voxceleb_trainer (Chung et al., Interspeech 2020). 1,503,638 parameters; 2.208 GMAC for 10 s.
"""

from __future__ import annotations

from typing import Any

from edge.audio.instance_mel import InstanceMelSpec

from .torch_layers import batch_norm, convolution

DIM = 128  # of the shared space
TRUNK_DIM = 512  # of the trunk alone, a speaker embedding
STAGES = ((16, 3, 1), (32, 4, 2), (64, 6, 2), (128, 3, 1))  # channels, blocks, first stride
REDUCTION = 8  # of the squeeze-and-excitation
PREFIX = "V."
CUT = "frames"  # layer after which time is pooled: what follows loses most from int8


def shape_of_sound_voice(spec: InstanceMelSpec | None = None, head: bool = True) -> Any:
    """Build the voice encoder (Keras).

    Input `features` (1, frames, 40, 1): time comes first here and frequency first in the original,
    so kernels are transposed on import. Output `embedding` (128,), not normalised, or, without the
    head, the trunk's speaker embedding (512,).

    The mean over frequency, layer `frames`, is (frames, 1, 128); the softmax over its frames gives
    weights near 1 / 251, which int8 (steps of 1 / 256) cannot tell apart.
    """
    import tensorflow as tf

    layers = tf.keras.layers
    spec = spec or InstanceMelSpec()
    features = layers.Input((spec.frames, spec.mels, 1), name="features")
    model = f"{PREFIX}model."
    x = convolution(features, 16, 7, f"{model}conv1", stride=(1, 2), padding=3)
    x = layers.ReLU()(batch_norm(x, f"{model}bn1"))
    for stage, (channels, blocks, stride) in enumerate(STAGES, 1):
        for block in range(blocks):
            name = f"{model}layer{stage}.{block}"
            x = _residual(x, channels, stride if block == 0 else 1, name)
    frames = layers.AveragePooling2D((1, x.shape[2]), name=CUT)(x)
    x = _attentive_pooling(frames, model)
    x = layers.Dense(TRUNK_DIM, name=f"{model}fc")(x)
    if head:
        x = layers.ReLU()(batch_norm(x, f"{PREFIX}fc.0"))
        x = layers.Dense(DIM, use_bias=False, name=f"{PREFIX}fc.2")(x)
    embedding = layers.Activation("linear", name="embedding")(x)
    return tf.keras.Model(features, {"embedding": embedding}, name="voice_encoder")


def _residual(x: Any, channels: int, stride: int, name: str) -> Any:
    """Convolution, ReLU, batch norm (in this order), convolution, batch norm, SE; shortcut."""
    import tensorflow as tf

    layers = tf.keras.layers
    y = convolution(x, channels, 3, f"{name}.conv1", stride=stride, padding=1)
    y = batch_norm(layers.ReLU()(y), f"{name}.bn1")
    y = convolution(y, channels, 3, f"{name}.conv2", padding=1)
    y = batch_norm(y, f"{name}.bn2")
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Conv2D(channels // REDUCTION, 1, activation="relu", name=f"{name}.se.fc.0")(gate)
    gate = layers.Conv2D(channels, 1, activation="sigmoid", name=f"{name}.se.fc.2")(gate)
    y = layers.Multiply()([y, gate])
    if stride != 1 or x.shape[-1] != channels:
        x = convolution(x, channels, 1, f"{name}.downsample.0", stride=stride)
        x = batch_norm(x, f"{name}.downsample.1")
    return layers.ReLU(name=name)(layers.Add()([y, x]))


def _attentive_pooling(frames: Any, model: str) -> Any:
    """Weighted mean over time of (t, 1, channels), weights from the frames themselves."""
    import tensorflow as tf

    layers = tf.keras.layers
    count, channels = frames.shape[1], frames.shape[-1]
    hidden = layers.Conv2D(channels, 1, activation="tanh", name=f"{model}sap_linear")(frames)
    score = layers.Conv2D(1, 1, use_bias=False, name=f"{model}attention")(hidden)
    weight = layers.Softmax(name=f"{model}pooling_weight")(layers.Reshape((count,))(score))
    flat = layers.Reshape((count, channels))(frames)
    return layers.Dot(axes=1, name=f"{model}pooled")([flat, layers.Reshape((count,))(weight)])
