"""Converts one SavedModel; runs as a process of its own.

Usage: python -m convert.importing.saved_worker FOLDER SAMPLES.npz FLOAT.tflite INT8.tflite

`SAMPLES.npz` holds the inputs, named like the input wanted; `output`, the name of the output; and
`mean` and `std`, which the input is normalised with first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..flatbuffer import TfliteModel


def convert(folder: Path, samples_path: Path, reference: Path, out: Path) -> None:
    """Convert to float and to full int8, with a bundle's names and a batch of 1."""
    import tensorflow as tf

    with np.load(samples_path) as data:
        arrays = dict(data)
    output_name = str(arrays.pop("output"))
    mean, std = arrays.pop("mean"), arrays.pop("std")
    ((name, samples),) = arrays.items()
    loaded = tf.saved_model.load(str(folder))
    signature = loaded.signatures["serving_default"]
    (given,) = signature.structured_input_signature[1].values()
    shape = (1, *given.shape[1:])
    if tuple(shape) != (1, *samples.shape[1:]):
        raise ValueError(f"its input is {tuple(shape)}, a bundle's is {(1, *samples.shape[1:])}")

    def forward(value: Any) -> dict[str, Any]:
        normal = (value - mean.astype(np.float32)) / std.astype(np.float32)
        made = signature(**{given.name: normal})
        if len(made) != 1:
            raise ValueError(f"it has {len(made)} outputs, one is needed")
        return {output_name: tf.identity(next(iter(made.values())), name=output_name)}

    module = tf.Module()
    module.network = loaded  # keeps its variables alive
    module.forward = tf.function(
        forward, input_signature=[tf.TensorSpec(shape, tf.float32, name=name)]
    )
    saved = out.with_suffix(".wrapped")
    tf.saved_model.save(module, str(saved), signatures=module.forward.get_concrete_function())

    def representative() -> Iterator[list[Any]]:
        for i in range(len(samples)):
            yield [samples[i : i + 1].astype(np.float32)]

    reference.write_bytes(_named(tf.lite.TFLiteConverter.from_saved_model(str(saved)), name))
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    out.write_bytes(_named(converter, name))


def _named(converter: Any, input_name: str) -> bytes:
    converted = TfliteModel(converter.convert())
    converted.name_tensors()
    (index,) = converted.graph.inputs
    converted.graph.tensors[index].name = input_name
    return converted.content()


if __name__ == "__main__":
    convert(*(Path(argument) for argument in sys.argv[1:5]))
