"""The portrait decoder: an embedding → the typical person it speaks of.

Four parts in one network. `latent_head` reads from the embedding what a voice carries (sex, age,
size). `staircase` makes the sex of the portrait one of three, a woman, a man, or an androgynous
person when the voice does not say, and `grown` makes it a child or not: two hair styles are never
mixed. `renderer` draws them from basis pictures, fitted to noise-free pairs of latents and
renderings, which is why it is sharp.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge.types import AGE_RANGE, Float32

from ..population.faces.appearance import CHILD_UNTIL

LATENTS = ("sex", "grown", "age", "size")
# sex: -1 man, 0 androgynous, +1 woman; grown: -1 with the hair of a child, +1 not
ANDROGYNOUS = (0.35, 0.65)  # P(female) between these is drawn androgynous
STEEPNESS = 60.0  # of the staircase, per unit of log-odds: hair is mixed within .006 of a bound
# Per unit of standard age. The first mixes hair within .16 years of CHILD_UNTIL, in int8 at one of
# its steps of .3; the second is for training, so that an age near the bound has a gradient.
GROWN_STEEPNESS, TAUGHT_STEEPNESS = 240.0, 60.0
SIZE = 128  # pixels, both sides
BASIS = 40  # pictures
WIDTH = 160  # of the perceptron that weights them

AGE_AND_SIZE = ("age_hidden", "age", "size")  # layers of the head that do not decide on the sex

MIDDLE_AGE, AGE_SCALE = 42.0, 27.0
SIZE_LIMIT, SIZE_SCALE = 2.2, 1.2  # the size axis is drawn within ± the limit
RELU6 = 6.0


def standard_age(years: Float32) -> Float32:
    """Scale calendar years (n,) to the renderer's age axis, about -1.5..2."""
    return ((years - MIDDLE_AGE) / AGE_SCALE).astype(np.float32)


def standard_size(size: Float32) -> Float32:
    """Scale the law's size axis (n,) to the renderer's, within ±1.8."""
    return (np.clip(size, -SIZE_LIMIT, SIZE_LIMIT) / SIZE_SCALE).astype(np.float32)


def latent_head(dim: int) -> Any:
    """Build embedding (dim,) of unit length → log-odds of female, standard age, standard size."""
    import tensorflow as tf

    layers = tf.keras.layers
    embedding = layers.Input((dim,), name="embedding")
    x = layers.Dense(96, activation="relu")(embedding)
    older = layers.Dense(48, activation="relu", name="age_hidden")(x)
    outputs = {
        "sex": layers.Dense(1, name="sex")(x),
        "age": layers.Dense(1, name="age")(older),
        "size": layers.Dense(1, name="size")(x),
    }
    return tf.keras.Model(embedding, outputs, name="latent_head")


def staircase(log_odds: Any) -> Any:
    """Turn log-odds of female into about -1, 0 or +1 with steps at the ANDROGYNOUS bounds."""
    import tensorflow as tf

    step = STEEPNESS * math.log(ANDROGYNOUS[1] / (1 - ANDROGYNOUS[1]))
    two = _fixed(STEEPNESS, [-step, step], "tanh", "staircase")(log_odds)
    mean = tf.keras.layers.Dense(
        1, use_bias=False, trainable=False, kernel_initializer=tf.keras.initializers.Constant(0.5)
    )
    return mean(two)


def grown(age: Any, steepness: float = GROWN_STEEPNESS) -> Any:
    """Turn the standard age into about -1 for a child's hair and +1 for an adult's."""
    threshold = float(standard_age(np.array([CHILD_UNTIL], np.float32))[0])
    return _fixed(steepness, [-steepness * threshold], "tanh", "grown")(age)


def within(value: Any, lowest: float, highest: float) -> Any:
    """Clip (n, 1) to what the renderer was taught; two layers that an accelerator knows."""
    unit = (highest - lowest) / RELU6
    return _fixed(unit, [lowest])(_fixed(1.0 / unit, [-lowest / unit], "relu6")(value))


def _fixed(
    scale: float, offsets: list[float], activation: str | None = None, name: str | None = None
) -> Any:
    """Return a layer that is never trained: (n, 1) → activation(scale * x + each offset)."""
    import tensorflow as tf

    return tf.keras.layers.Dense(
        len(offsets),
        activation=activation,
        name=name,
        trainable=False,
        kernel_initializer=tf.keras.initializers.Constant(scale),
        bias_initializer=tf.keras.initializers.Constant(offsets),
    )


def renderer(basis: Float32, mean: Float32) -> Any:
    """Build latents (4,) → portrait (128, 128, 3), sRGB, about 0..1.

    A small perceptron gives the weights of fixed basis pictures. All portraits show one person, so
    few pictures span them, and edges stay as sharp as those were rendered: the picture is not drawn
    by convolutions, which blur it unless they are trained for hours.

    Args:
        basis: (k, 128 * 128 * 3), scaled so that each weight has standard deviation 1.
        mean: (128 * 128 * 3,).
    """
    import tensorflow as tf

    layers = tf.keras.layers
    latents = layers.Input((len(LATENTS),), name="latents")
    x = latents
    for _ in range(3):
        x = layers.Dense(WIDTH, activation="relu")(x)
    weights = layers.Dense(len(basis), name="basis_weights")(x)
    pictures = layers.Dense(basis.shape[1], trainable=False, name="basis")
    portrait = layers.Reshape((SIZE, SIZE, 3), name="portrait")(pictures(weights))
    pictures.set_weights([basis, mean])
    return tf.keras.Model(latents, {"portrait": portrait}, name="renderer")


def upsample() -> Any:
    """Double height and width by repetition.

    Emitted as RESIZE_NEAREST_NEIGHBOR version 2; Keras' own UpSampling2D becomes version 3 or TILE,
    which the last Edge TPU compiler refuses.
    """
    return _nearest_class()()


def _nearest_class() -> Any:
    import tensorflow as tf

    @tf.keras.utils.register_keras_serializable("earsight")
    class Nearest2x(tf.keras.layers.Layer):  # type: ignore[misc]
        """Nearest-neighbour resize to twice the size, without half-pixel centres."""

        def call(self, x: Any) -> Any:
            size = (2 * x.shape[1], 2 * x.shape[2])
            return tf.compat.v1.image.resize_nearest_neighbor(x, size)

    return Nearest2x


def portrait_decoder(head: Any, draw: Any, dim: int, steepness: float = GROWN_STEEPNESS) -> Any:
    """Join a head and a renderer, by reference, to embedding (dim,) → portrait (128, 128, 3)."""
    import tensorflow as tf

    embedding = tf.keras.layers.Input((dim,), name="embedding")
    read = head(embedding)
    youngest, oldest = (float(age) for age in standard_age(np.array(AGE_RANGE, np.float32)))
    age = within(read["age"], youngest, oldest)
    size = within(read["size"], -SIZE_LIMIT / SIZE_SCALE, SIZE_LIMIT / SIZE_SCALE)
    latents = tf.keras.layers.Concatenate()(
        [staircase(read["sex"]), grown(age, steepness), age, size]
    )
    return tf.keras.Model(
        embedding, {"portrait": draw(latents)["portrait"]}, name="portrait_decoder"
    )
