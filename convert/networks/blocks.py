"""The two building blocks of both encoders."""

from __future__ import annotations

from typing import Any


def convolution(x: Any, channels: int, kernel: int, stride: int = 1) -> Any:
    """Convolution, batch norm (folded by the converter), ReLU."""
    import tensorflow as tf

    layers = tf.keras.layers
    x = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.95)(x))


def residual(x: Any, channels: int, stride: tuple[int, int]) -> Any:
    """Two 3x3 convolutions beside an averaged 1x1 shortcut (He et al. 2016; He et al. 2019, D)."""
    import tensorflow as tf

    layers = tf.keras.layers
    y = layers.Conv2D(channels, 3, stride, padding="same", use_bias=False)(x)
    y = layers.ReLU()(layers.BatchNormalization(momentum=0.95)(y))
    y = layers.Conv2D(channels, 3, padding="same", use_bias=False)(y)
    y = layers.BatchNormalization(momentum=0.95)(y)
    shortcut = layers.AveragePooling2D(stride)(x)
    shortcut = layers.Conv2D(channels, 1, use_bias=False)(shortcut)
    shortcut = layers.BatchNormalization(momentum=0.95)(shortcut)
    return layers.ReLU()(layers.Add()([y, shortcut]))
