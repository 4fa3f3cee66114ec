"""A speaker embedding of time-delay layers (x-vector), as published for embedded devices.

Snyder et al., "X-vectors", ICASSP 2018; this variant is Espressif's sv_tdnn_tiny (MIT): 1.85 M
parameters, about 0.45 GMAC for 6 s, batch norm already folded into its convolutions.
"""

from __future__ import annotations

from typing import Any

from edge.audio.kaldi_fbank import KaldiFbankSpec

from .torch_layers import convolution

DIM = 512
LAYERS = (
    (256, 5, 1),
    (256, 3, 2),
    (256, 3, 3),
    (256, 1, 1),
    (800, 1, 1),
)  # channels, kernel, dilation
CUT = "frames"  # layer after which time is pooled: int8 has no square root, and the sums lose most


def x_vector(spec: KaldiFbankSpec | None = None) -> Any:
    """Build the voice encoder (Keras).

    Input `features` (1, frames, mels, 1). Output `embedding` (512,), compared by cosine. Mean and
    standard deviation over time (unbiased, 1e-10 under the root) are concatenated.
    """
    import tensorflow as tf

    layers = tf.keras.layers
    spec = spec or KaldiFbankSpec()
    features = layers.Input((spec.frames, spec.mels, 1), name="features")
    x = layers.Reshape((spec.frames, 1, spec.mels))(features)
    for number, (channels, kernel, dilation) in enumerate(LAYERS, 1):
        name = f"conv{number}"
        x = convolution(x, channels, (kernel, 1), name, bias=True, dilation=(dilation, 1))
        x = layers.ReLU(name=CUT if number == len(LAYERS) else f"{name}.relu")(x)
    count = x.shape[1]
    mean = layers.AveragePooling2D((count, 1))(x)
    centred = layers.Subtract()([x, mean])
    variance = layers.AveragePooling2D((count, 1))(layers.Multiply()([centred, centred]))
    unbiased = layers.Rescaling(count / (count - 1), offset=1e-10)(variance)
    deviation = tf.sqrt(unbiased)
    pooled = layers.Concatenate()([layers.Flatten()(mean), layers.Flatten()(deviation)])
    x = layers.Dense(DIM, activation="relu", name="fc1")(pooled)
    x = layers.Dense(DIM, name="fc2")(x)
    embedding = layers.Activation("linear", name="embedding")(x)
    return tf.keras.Model(features, {"embedding": embedding}, name="voice_encoder")
