"""Converts one SavedModel; runs as a process of its own.

Usage: python -m convert.importing.saved_worker FOLDER SAMPLES.npz OUT.tflite [float]

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


def convert(folder: Path, samples_path: Path, out: Path, in_float: bool) -> None:
    """Convert to full int8, or to float, with a bundle's names and a batch of 1."""
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

    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
    if not in_float:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    converted = TfliteModel(converter.convert())
    converted.name_tensors()
    (index,) = converted.graph.inputs
    converted.graph.tensors[index].name = name
    out.write_bytes(converted.content())


if __name__ == "__main__":
    convert(*(Path(argument) for argument in sys.argv[1:4]), in_float="float" in sys.argv[4:])
