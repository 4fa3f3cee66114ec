"""Parameters and multiply-accumulates of a Keras network, as the papers count them."""

from __future__ import annotations

import math
from typing import Any


def parameters(model: Any) -> int:
    """Return the number of trained numbers; running statistics of batch norm do not count."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def macs(model: Any) -> int:
    """Return the multiply-accumulates of one input: convolutions and dense layers."""
    return sum(_macs_of(layer) for layer in model.layers)


def _macs_of(layer: Any) -> int:
    kind = type(layer).__name__
    if kind not in ("Conv1D", "Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "Dense"):
        return 0
    if kind == "DepthwiseConv2D":
        return int(math.prod(layer.output_shape[1:]) * math.prod(layer.kernel_size))
    kernel = int(math.prod(layer.kernel.shape))
    if kind == "Dense":
        return kernel * int(math.prod(layer.output_shape[1:-1]))
    # a transposed convolution visits its kernel once for each input position
    positions = layer.input_shape if kind == "Conv2DTranspose" else layer.output_shape
    return kernel * int(math.prod(positions[1:-1]))
