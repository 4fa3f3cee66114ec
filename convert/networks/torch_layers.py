"""Keras layers that compute what PyTorch's do, named after PyTorch's modules.

The names are what an import goes by: layer `V.model.conv1` takes the tensors `V.model.conv1.weight`
and so on. Numbers are PyTorch's defaults.
"""

from __future__ import annotations

from typing import Any

EPSILON = 1e-5  # of batch normalisation; Keras has 1e-3
MOMENTUM = 0.9  # PyTorch's 0.1; Keras' 0.99 takes thousands of steps to forget where it began


def convolution(
    x: Any,
    channels: int,
    kernel: int | tuple[int, int],
    name: str,
    stride: int | tuple[int, int] = 1,
    padding: int = 0,
    bias: bool = False,
    depthwise: bool = False,
    dilation: int | tuple[int, int] = 1,
) -> Any:
    """Convolve with `padding` zeros on all four sides, whatever the stride."""
    import tensorflow as tf

    layers = tf.keras.layers
    kernel, stride, dilation = _pair(kernel), _pair(stride), _pair(dilation)
    same = padding > 0 and _same_is_symmetric(x.shape[1:3], kernel, stride, padding)
    if padding and not same:
        x = layers.ZeroPadding2D(padding, name=f"{name}.padding")(x)
    mode = "same" if same else "valid"
    if depthwise:
        layer = layers.DepthwiseConv2D(kernel, stride, mode, use_bias=bias, name=name)
    else:
        layer = layers.Conv2D(
            channels, kernel, stride, mode, dilation_rate=dilation, use_bias=bias, name=name
        )
    return layer(x)


def batch_norm(x: Any, name: str) -> Any:
    """Normalise each channel with the statistics of training."""
    import tensorflow as tf

    return tf.keras.layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=name)(x)


def normalise(image: Any, mean: tuple[float, ...], std: tuple[float, ...]) -> Any:
    """Return (image - mean) / std, channel by channel, as one layer that int8 computes exactly.

    It cannot be folded into the next convolution: that pads with zeros after normalisation.
    """
    import tensorflow as tf

    constant = tf.keras.initializers.Constant
    return tf.keras.layers.DepthwiseConv2D(
        1,
        depthwise_initializer=constant([1 / s for s in std]),
        bias_initializer=constant([-m / s for m, s in zip(mean, std, strict=True)]),
        trainable=False,
        name="normalise",
    )(image)


def _same_is_symmetric(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: int
) -> bool:
    """Tell whether TensorFlow's SAME puts `padding` zeros on every side.

    It centres the padding that the last output needs, PyTorch pads all sides alike; with a stride
    of two they agree on odd sizes only. SAME needs no operator of its own, hence the care.
    """
    for n, k, s in zip(size, kernel, stride, strict=True):
        total = max((-(-n // s) - 1) * s + k - n, 0)
        if (total // 2, total - total // 2) != (padding, padding):
            return False
    return True


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)
