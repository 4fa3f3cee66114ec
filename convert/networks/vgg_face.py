"""VGG-Face: the network whose fc7 is the language between Speech2Face's two halves.

Parkhi et al., "Deep Face Recognition", BMVC 2015: VGG-16 on faces. 134 M parameters and 15.5 GMAC:
for a workstation, where it makes the targets that a voice encoder is trained on.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from edge.types import Float32

from ..metrics import unit

SIZE = 224  # pixels, both sides
MEAN = (129.1863, 104.7624, 93.5940)  # of the training set, RGB 0..255
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions
# what re-implementations call the feature of a face: the layer itself (saiteja-talluri), or
# rectified and of unit length (aqibahmad); a checkpoint goes with one of them only
Convention = Literal["linear", "rectified_unit"]


def vgg_face_fc7() -> Any:
    """Build VGG-Face up to fc7 (Keras): `image` (224, 224, 3), RGB 0..255 → `fc7` (4096,)."""
    import tensorflow as tf

    layers = tf.keras.layers
    image = layers.Input((SIZE, SIZE, 3), name="image")
    x = layers.Rescaling(1.0, offset=[-m for m in MEAN])(image)
    for block, (channels, count) in enumerate(BLOCKS, 1):
        for number in range(1, count + 1):
            name = f"conv{block}_{number}"
            x = layers.Conv2D(channels, 3, padding="same", activation="relu", name=name)(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Dense(4096, activation="relu", name="fc6")(layers.Flatten()(x))
    return tf.keras.Model(image, {"fc7": layers.Dense(4096, name="fc7")(x)}, name="vgg_face")


def as_target(fc7: Float32, convention: Convention) -> Float32:
    """Return the target (4096,) of a voice encoder from the fc7 (n, 4096) of a clip's n frames."""
    if convention == "linear":
        return np.asarray(fc7.mean(axis=0), dtype=np.float32)
    return unit(np.maximum(fc7, 0.0).mean(axis=0))
