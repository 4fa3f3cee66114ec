"""Squeeze layers that are zero on every sample: given a range without changing what they compute.

A squeeze-and-excitation gate of a trained network can have a hidden layer of two units of which
neither ever fires. int8 would give that layer a scale of about 1e-8, which runtimes refuse. Here it
gets one unit more, constant, which the next layer multiplies by zero: the network is the same, and
the layer's range is that of what its units would have been without their ReLU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.types import Float32

_ZERO = 1e-6


def revive(model: Any, samples: Float32) -> Any:
    """Return the model, or a copy in which every such layer has its constant unit.

    Args:
        model: Keras model.
        samples: (n, ...) inputs that the ranges of int8 will be taken from.
    """
    import tensorflow as tf

    squeezes = [layer for layer in model.layers if _is_squeeze(layer)]
    if not squeezes:
        return model
    made = tf.keras.Model(model.input, [tensor for s in squeezes for tensor in (s.input, s.output)])
    highest = np.zeros(len(squeezes))
    reach = np.zeros(len(squeezes))
    for i in range(len(samples)):
        values = made(samples[i : i + 1], training=False)
        for k, layer in enumerate(squeezes):
            kernel, bias = layer.get_weights()
            before = np.tensordot(np.asarray(values[2 * k]), kernel[0, 0], axes=1) + bias
            highest[k] = max(highest[k], float(np.max(values[2 * k + 1])))
            reach[k] = max(reach[k], float(np.abs(before).max()))
    dead = {s.name: reach[k] for k, s in enumerate(squeezes) if highest[k] < _ZERO}
    return _with_constants(model, dead) if dead else model


def _is_squeeze(layer: Any) -> bool:
    """Tell whether this is a 1 x 1 convolution with a ReLU that only another one reads."""
    if not _is_pointwise(layer) or layer.get_config()["activation"] != "relu":
        return False
    return len(layer.outbound_nodes) == 1 and _is_pointwise(layer.outbound_nodes[0].layer)


def _is_pointwise(layer: Any) -> bool:
    return type(layer).__name__ == "Conv2D" and layer.kernel_size == (1, 1) and layer.use_bias


def _with_constants(model: Any, dead: dict[str, float]) -> Any:
    import tensorflow as tf

    readers = {model.get_layer(name).outbound_nodes[0].layer.name for name in dead}

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in dead:
            config["filters"] += 1
        return layer.__class__.from_config(config)

    copy = tf.keras.models.clone_model(model, clone_function=clone)
    for layer in model.layers:
        values = layer.get_weights()
        if layer.name in dead:
            kernel, bias = values
            values = [np.pad(kernel, [(0, 0)] * 3 + [(0, 1)]), np.append(bias, dead[layer.name])]
        elif layer.name in readers:
            kernel, bias = values
            values = [np.pad(kernel, [(0, 0), (0, 0), (0, 1), (0, 0)]), bias]
        copy.get_layer(layer.name).set_weights(values)
    return copy
