"""Speech2Face's voice encoder, and its student for small devices.

Oh et al., "Speech2Face: Learning the Face Behind a Voice", CVPR 2019 (arXiv 1905.09773), table 1;
the layers agree with two independent re-implementations. 148 M parameters and 89.2 GMAC for a clip
of 6 s: 120 M of them are the first dense layer. The student keeps what goes in and what comes out.
"""

from __future__ import annotations

from typing import Any

from edge.audio.compressed_stft import CompressedStftSpec

from .torch_layers import batch_norm

DIM = 4096  # of VGG-Face's fc7
# channels, stride, and whether time is halved after it; every kernel is 4 x 4 without padding
CONVOLUTIONS = (
    (64, 1, False), (64, 1, False), (128, 1, True), (128, 1, True), (128, 1, True), (256, 1, True),
    (512, 1, False), (512, 2, False), (512, 2, False),
)  # fmt: skip
LAST = (512, 1, 57)  # channels, time, frequency that the first dense layer sees
STUDENT = ((64, 2), (128, 2), (128, 1), (256, 2), (256, 1), (256, 1), (512, 2), (512, 1))


def speech2face_voice(spec: CompressedStftSpec | None = None, rectified: bool = False) -> Any:
    """Build the voice encoder (Keras).

    Input `features` (1, 598, 257, 2), output `embedding` (4096,): VGG-Face's fc7 before its ReLU,
    as the authors describe it. With `rectified` it is behind its ReLU, as one re-implementation
    (aqibahmad) trains it; its length is taken out where embeddings are compared.
    """
    import tensorflow as tf

    layers = tf.keras.layers
    spec = spec or CompressedStftSpec()
    features = layers.Input(spec.shape, name="features")
    x = features
    last = len(CONVOLUTIONS)
    for number, (channels, stride, halved) in enumerate(CONVOLUTIONS, 1):
        x = layers.Conv2D(channels, 4, stride, name=f"conv{number}")(x)
        if number == last:
            x = layers.AveragePooling2D((x.shape[1], 1))(x)
        x = batch_norm(layers.ReLU()(x), f"bn{number}")
        x = layers.MaxPooling2D((2, 1))(x) if halved else x
    x = layers.Dense(DIM, activation="relu", name="fc1")(layers.Flatten()(x))
    x = layers.Dense(DIM, activation="relu" if rectified else None, name="fc2")(x)
    embedding = layers.Activation("linear", name="embedding")(x)
    return tf.keras.Model(features, {"embedding": embedding}, name="voice_encoder")


def speech2face_student(spec: CompressedStftSpec | None = None) -> Any:
    """Build the student: the same input and output, depthwise separable, 4.8 M parameters.

    Time and frequency are averaged together at the end, which is what removes the large dense
    layer; frequency is told apart by then, as each of the 512 channels has seen most of it.
    """
    import tensorflow as tf

    layers = tf.keras.layers
    spec = spec or CompressedStftSpec()
    features = layers.Input(spec.shape, name="features")
    x = _norm_relu(layers.Conv2D(32, 5, 2, "same", use_bias=False, name="conv1")(features), "bn1")
    for number, (channels, stride) in enumerate(STUDENT, 2):
        x = layers.DepthwiseConv2D(3, stride, "same", use_bias=False, name=f"depthwise{number}")(x)
        x = _norm_relu(x, f"depthwise_bn{number}")
        x = layers.Conv2D(channels, 1, use_bias=False, name=f"conv{number}")(x)
        x = _norm_relu(x, f"bn{number}")
    mean, peak = layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)
    x = layers.Dense(DIM, name="fc")(layers.Concatenate()([mean, peak]))
    embedding = layers.Activation("linear", name="embedding")(x)
    return tf.keras.Model(features, {"embedding": embedding}, name="voice_encoder")


def _norm_relu(x: Any, name: str) -> Any:
    import tensorflow as tf

    return tf.keras.layers.ReLU()(batch_norm(x, name))
