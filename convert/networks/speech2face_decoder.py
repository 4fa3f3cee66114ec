"""Speech2Face's face decoder: VGG-Face's fc7 → a frontal face with a neutral look.

Cole et al., "Synthesizing Normalized Faces from Facial Identity Features", CVPR 2017, trained by
Oh et al. 2019 on fc7. This is the texture branch, in the form of a published re-implementation
(aqibahmad): 55.9 M parameters, 50.2 M of them in the second dense layer. The landmark branch and
the warp need a spline solver, which no TFLite runtime has, and are left out there too.
"""

from __future__ import annotations

from typing import Any

from .speech2face_voice import DIM

SIZE = 224  # pixels, both sides
HIDDEN = 1000
FIRST = (256, 14, 14)  # channels, height, width that the second dense layer makes
CHANNELS = (128, 64, 32, 32)


def speech2face_decoder() -> Any:
    """Build the decoder (Keras): `embedding` (4096,) → `portrait` (224, 224, 3), sRGB 0..1."""
    import tensorflow as tf

    layers = tf.keras.layers
    embedding = layers.Input((DIM,), name="embedding")
    x = layers.Dense(HIDDEN, activation="relu", name="fc1")(embedding)
    channels, height, width = FIRST
    x = layers.Dense(channels * height * width, activation="relu", name="fc2")(x)
    x = layers.Reshape((height, width, channels))(x)
    for number, channels in enumerate(CHANNELS, 1):
        # 6 x 6, stride 2, PyTorch padding 2: the crop that Keras calls "same"
        x = layers.Conv2DTranspose(channels, 6, 2, "same", name=f"up{number}")(x)
        x = layers.ReLU()(x)
    x = layers.Conv2D(3, 1, name="texture")(x)
    portrait = layers.Activation("sigmoid", name="portrait")(x)
    return tf.keras.Model(embedding, {"portrait": portrait}, name="portrait_decoder")
