"""Batch norms that int8 conversion cannot fold into a convolution, as layers it computes exactly.

The converter folds a batch norm into the convolution before it. Where something stands between
them (the ReLU of Shape of Sound's voice trunk, the sum of residuals before IR-50's units) it leaves
a multiplication and an addition, each with constants of one common scale, which lose channels whose
gain is small. Folding forward into the next convolution is exact only without padding, as the zeros
at the border are those of normalised values. A depthwise 1 x 1 convolution has a scale for every
channel, a 32-bit bias and one rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_FOLDING = ("Conv2D", "DepthwiseConv2D", "Conv2DTranspose", "Dense")


def with_exact_norms(model: Any) -> Any:
    """Return a copy of a trained Keras model in which every such batch norm is depthwise."""
    import tensorflow as tf

    lonely = {layer.name for layer in model.layers if _is_lonely(layer)}

    def clone(layer: Any) -> Any:
        if layer.name not in lonely:
            return layer.__class__.from_config(layer.get_config())
        return tf.keras.layers.DepthwiseConv2D(1, name=layer.name)

    copy = tf.keras.models.clone_model(model, clone_function=clone)
    for layer in model.layers:
        values = _as_depthwise(layer) if layer.name in lonely else layer.get_weights()
        copy.get_layer(layer.name).set_weights(values)
    return copy


def _is_lonely(layer: Any) -> bool:
    """Tell whether this is a batch norm over pictures with no convolution right before it."""
    if type(layer).__name__ != "BatchNormalization" or len(layer.input_shape) != 4:
        return False
    (node,) = layer.inbound_nodes
    before = node.inbound_layers
    return (
        type(before).__name__ not in _FOLDING
        or len(before.outbound_nodes) > 1
        or before.get_config().get("activation", "linear") != "linear"
    )


def _as_depthwise(layer: Any) -> list[Any]:
    gamma, beta, mean, variance = (v.astype(np.float64) for v in layer.get_weights())
    gain = gamma / np.sqrt(variance + layer.epsilon)
    kernel = gain.reshape(1, 1, -1, 1)
    return [kernel.astype(np.float32), (beta - mean * gain).astype(np.float32)]
