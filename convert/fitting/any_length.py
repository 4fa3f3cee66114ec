"""Networks built for a fixed length of sound, trained on crops of any length."""

from __future__ import annotations

from typing import Any

MOMENTUM = 0.9  # of running statistics; PyTorch's default of 0.1 is the new share, Keras' is 0.99
DROPOUT = 0.5  # of the published networks, before their last dense layers


def training_graph(network: Any) -> Any:
    """Return a Keras model of the same layers, in which time (axis 1 of a voice) is free.

    Training it trains `network`, whose weights it shares. What depends on the length is replaced:
    flattenings over time, and averages over all of it. Batch norms get PyTorch's momentum, and a
    dropout stands before a trunk's flattening, where face.evoLVe's IR-50 has it.
    """
    import tensorflow as tf

    layers = tf.keras.layers
    voice = network.input_names == ["features"]

    def clone(layer: Any) -> Any:
        if layer.weights:
            if isinstance(layer, layers.BatchNormalization):
                layer.momentum = MOMENTUM
            return layer
        if isinstance(layer, layers.Reshape) and voice:
            return layers.Reshape((-1, *layer.target_shape[1:]), name=layer.name)
        if isinstance(layer, layers.AveragePooling2D) and voice:
            if layer.pool_size[0] == layer.input_shape[1]:
                return layers.Lambda(_mean_over_time, name=layer.name)
        elif isinstance(layer, layers.Flatten) and layer.input_shape[1] > 1:
            return tf.keras.Sequential([layers.Dropout(DROPOUT), layers.Flatten()], layer.name)
        return layer.__class__.from_config(layer.get_config())

    shape = network.input_shape[1:]
    free = layers.Input((None, *shape[1:]) if voice else shape, name=network.input_names[0])
    return tf.keras.models.clone_model(network, [free], clone)


def _mean_over_time(x: Any) -> Any:
    import tensorflow as tf

    return tf.reduce_mean(x, axis=1, keepdims=True)
