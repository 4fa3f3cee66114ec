"""A face decoder: the generative half of a beta-TC-VAE trained on CelebA.

Chen et al. 2018; layers and names are those of disentangling-vae (MIT). 250,979 parameters.
"""

from __future__ import annotations

from typing import Any

DIM = 10  # of the latent space; z ~ N(0, 1) draws faces
FIRST = (32, 4, 4)  # channels, height, width that the last dense layer makes
UPSAMPLING = ("convT_64", "convT1", "convT2", "convT3")


def celeba_decoder() -> Any:
    """Build the decoder (Keras): `embedding` (10,) → `portrait` (64, 64, 3), sRGB 0..1."""
    import tensorflow as tf

    layers = tf.keras.layers
    embedding = layers.Input((DIM,), name="embedding")
    x = embedding
    for name, width in (("lin1", 256), ("lin2", 256), ("lin3", 512)):
        x = layers.Dense(width, activation="relu", name=f"decoder.{name}")(x)
    channels, height, width = FIRST
    x = layers.Reshape((height, width, channels))(x)
    for name in UPSAMPLING:
        last = name == UPSAMPLING[-1]
        # PyTorch's padding of 1 is the crop that Keras calls "same"
        x = layers.Conv2DTranspose(3 if last else 32, 4, 2, "same", name=f"decoder.{name}")(x)
        x = x if last else layers.ReLU()(x)
    portrait = layers.Activation("sigmoid", name="portrait")(x)
    return tf.keras.Model(embedding, {"portrait": portrait}, name="portrait_decoder")
