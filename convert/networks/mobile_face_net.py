"""MobileFaceNet: a face embedding of a million parameters.

Chen et al., "MobileFaceNets", CCBR 2018; layers and names are those of a published PyTorch port
(Apache-2.0). 0.22 GMAC for a face.
"""

from __future__ import annotations

from typing import Any

from .torch_layers import batch_norm, convolution, normalise

DIM = 128
SIZE = 112  # pixels, both sides
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB 0..1
# expansion, channels, blocks, stride of the first
SETTINGS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


def mobile_face_net() -> Any:
    """Build the face encoder (Keras).

    Input `image` (1, 112, 112, 3), sRGB 0..1. Output `embedding` (128,), compared by cosine.
    """
    import tensorflow as tf

    layers = tf.keras.layers
    image = layers.Input((SIZE, SIZE, 3), name="image")
    x = normalise(image, MEAN, STD)
    x = _relu6(x, 64, 3, "conv1.0", "conv1.1", stride=2)
    x = convolution(x, 64, 3, "dw_conv.depthwise", padding=1, depthwise=True)
    x = layers.ReLU()(batch_norm(x, "dw_conv.bn1"))
    x = convolution(x, 64, 1, "dw_conv.pointwise")
    x = layers.ReLU()(batch_norm(x, "dw_conv.bn2"))
    block = 0
    for expansion, channels, blocks, stride in SETTINGS:
        for first in [True] + [False] * (blocks - 1):
            x = _inverted_residual(x, channels, expansion, stride if first else 1, block)
            block += 1
    x = _relu6(x, 512, 1, "conv2.0", "conv2.1")
    x = convolution(x, 512, 7, "gdconv.depthwise", depthwise=True)
    x = batch_norm(x, "gdconv.bn")
    x = batch_norm(convolution(x, DIM, 1, "conv3", bias=True), "bn")
    embedding = layers.Flatten(name="embedding")(x)
    return tf.keras.Model(image, {"embedding": embedding}, name="face_encoder")


def _relu6(
    x: Any, channels: int, kernel: int, conv: str, norm: str, stride: int = 1, wise: bool = False
) -> Any:
    import tensorflow as tf

    x = convolution(x, channels, kernel, conv, stride, padding=kernel // 2, depthwise=wise)
    return tf.keras.layers.ReLU(6.0)(batch_norm(x, norm))


def _inverted_residual(x: Any, channels: int, expansion: int, stride: int, block: int) -> Any:
    """Expand, convolve each channel by itself, project (Sandler et al. 2018)."""
    import tensorflow as tf

    name, wide = f"features.{block}.conv", expansion * x.shape[-1]
    y = _relu6(x, wide, 1, f"{name}.0.0", f"{name}.0.1")
    y = _relu6(y, wide, 3, f"{name}.1.0", f"{name}.1.1", stride=stride, wise=True)
    y = batch_norm(convolution(y, channels, 1, f"{name}.2"), f"{name}.3")
    if stride == 1 and x.shape[-1] == channels:
        y = tf.keras.layers.Add()([x, y])
    return y
