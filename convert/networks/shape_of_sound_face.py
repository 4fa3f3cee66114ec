"""Shape of Sound's face encoder: IR-50, and its head.

The authors call it SE-ResNet-50; their code builds face.evoLVe's IR-50 without squeeze and
excitation (Deng et al., ArcFace, 2019). 43,574,976 parameters in the trunk, 66,560 in the head;
6.297 GMAC for a face.
"""

from __future__ import annotations

from typing import Any

from .torch_layers import batch_norm, convolution, normalise

DIM = 128  # of the shared space
SIZE = 112  # pixels, both sides
STAGES = (
    (64, 3),
    (128, 4),
    (256, 14),
    (512, 3),
)  # channels, units; each stage starts with stride 2
PREFIX = "F."


def shape_of_sound_face() -> Any:
    """Build the face encoder (Keras).

    Input `image` (1, 112, 112, 3), sRGB 0..1; the original wants BGR from -1 to 1, so the range is
    changed inside the graph and the first kernel's channels are turned round on import. Output
    `embedding` (128,), not normalised.
    """
    import tensorflow as tf

    layers = tf.keras.layers
    image = layers.Input((SIZE, SIZE, 3), name="image")
    model = f"{PREFIX}model."
    x = normalise(image, mean=(0.5,) * 3, std=(0.5,) * 3)
    x = convolution(x, 64, 3, f"{model}input_layer.0", padding=1)
    x = batch_norm(x, f"{model}input_layer.1")
    x = layers.PReLU(shared_axes=[1, 2], name=f"{model}input_layer.2")(x)
    unit = 0
    for channels, units in STAGES:
        for first in [True] + [False] * (units - 1):
            x = _bottleneck(x, channels, 2 if first else 1, f"{model}body.{unit}")
            unit += 1
    x = layers.Flatten()(batch_norm(x, f"{model}output_layer.0"))
    x = layers.Dense(512, name=f"{model}output_layer.3")(x)
    x = batch_norm(x, f"{model}output_layer.4")
    x = layers.ReLU()(batch_norm(x, f"{PREFIX}fc.0"))
    embedding = layers.Dense(DIM, use_bias=False, name=f"{PREFIX}fc.2")(x)
    embedding = layers.Activation("linear", name="embedding")(embedding)
    return tf.keras.Model(image, {"embedding": embedding}, name="face_encoder")


def _bottleneck(x: Any, channels: int, stride: int, name: str) -> Any:
    """Batch norm, convolution, PReLU, convolution, batch norm; plain or projected shortcut."""
    import tensorflow as tf

    layers = tf.keras.layers
    y = batch_norm(x, f"{name}.res_layer.0")
    y = convolution(y, channels, 3, f"{name}.res_layer.1", padding=1)
    y = layers.PReLU(shared_axes=[1, 2], name=f"{name}.res_layer.2")(y)
    y = convolution(y, channels, 3, f"{name}.res_layer.3", stride=stride, padding=1)
    y = batch_norm(y, f"{name}.res_layer.4")
    if x.shape[-1] != channels:
        x = convolution(x, channels, 1, f"{name}.shortcut_layer.0", stride=stride)
        x = batch_norm(x, f"{name}.shortcut_layer.1")
    elif stride != 1:
        x = layers.MaxPooling2D(1, stride, name=f"{name}.shortcut_layer")(x)
    return layers.Add(name=name)([y, x])
