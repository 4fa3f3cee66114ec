"""Converts one Keras model; runs as a process of its own, because the converter can abort it.

Usage: python -m convert.tflite_worker MODEL.keras CALIBRATION.npz OUT.tflite
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


def convert(model_path: Path, calibration_path: Path, out: Path) -> None:
    """Convert to full int8 with int8 inputs and outputs, batch fixed to 1.

    `CALIBRATION.npz` holds one array (n, ...) named like the model's only input.
    """
    import tensorflow as tf

    from .flatbuffer import TfliteModel
    from .networks import portrait

    portrait.upsample()  # registers the custom layer the file may name
    trained = tf.keras.models.load_model(model_path, compile=False)
    (name,) = trained.input_names
    with np.load(calibration_path) as data:
        samples = data[name]

    def representative() -> Iterator[list[Any]]:
        for i in range(len(samples)):
            yield [samples[i : i + 1].astype(np.float32)]

    converter = tf.lite.TFLiteConverter.from_keras_model(fixed_batch(trained))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    converted = TfliteModel(converter.convert())
    converted.name_tensors()
    out.write_bytes(converted.content())


def fixed_batch(trained: Any) -> Any:
    """Return a Keras model as it is converted: the batch is 1, the outputs keep their names."""
    import tensorflow as tf

    (name,) = trained.input_names
    fixed = tf.keras.layers.Input(batch_shape=(1, *trained.inputs[0].shape[1:]), name=name)
    # an identity by the output's own name, because a nested model's outputs lose theirs
    named = {
        key: tf.keras.layers.Activation("linear", name=key)(y) for key, y in trained(fixed).items()
    }
    return tf.keras.Model(fixed, named)


if __name__ == "__main__":
    convert(*(Path(argument) for argument in sys.argv[1:4]))
