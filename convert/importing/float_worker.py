"""Converts one Keras model to floating-point TFLite; runs as a process of its own.

Usage: python -m convert.importing.float_worker MODEL.keras OUT.tflite
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..flatbuffer import TfliteModel
from ..tflite_worker import fixed_batch


def convert(model_path: Path, out: Path) -> None:
    """Convert with float32 inputs, outputs and arithmetic, batch fixed to 1.

    Weights are stored with 16 bits, which halves the file and costs nothing: the runtime widens
    them once, when it loads. Weights of 8 bits would make it quantize every layer's input too.
    """
    import tensorflow as tf

    trained = tf.keras.models.load_model(model_path, compile=False)
    converter = tf.lite.TFLiteConverter.from_keras_model(fixed_batch(trained))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    converted = TfliteModel(converter.convert())
    converted.name_tensors()
    out.write_bytes(converted.content())


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
