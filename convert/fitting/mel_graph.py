"""Shape of Sound's front-end in TensorFlow, for training; the device's is `edge.audio`."""

from __future__ import annotations

from typing import Any

from edge.audio.instance_mel import InstanceMelSpec, hamming, mel_weights


def instance_mel(samples: Any, spec: InstanceMelSpec) -> Any:
    """Return the features (n, 1 + samples / hop, mels, 1) of sounds (n, samples), -1..1.

    The same tables and steps as `edge.audio.instance_mel`, for crops of any length and on whatever
    device TensorFlow runs; the two differ by less than 1e-4.
    """
    import tensorflow as tf

    edge = spec.window // 2
    padded = tf.pad(samples * spec.gain, [[0, 0], [edge, edge]], "REFLECT")
    window = tf.constant(hamming(spec), tf.float32)
    spectrum = tf.signal.stft(
        padded, spec.window, spec.hop, spec.fft, window_fn=lambda _, dtype: tf.cast(window, dtype)
    )
    energy = tf.abs(spectrum) ** 2
    mel = tf.tensordot(energy, tf.constant(mel_weights(spec).T, tf.float32), 1)
    value = tf.math.log(mel + spec.floor)
    mean, variance = tf.nn.moments(value, axes=1, keepdims=True)
    return ((value - mean) / tf.sqrt(variance + spec.epsilon))[..., None]
