"""Where int8 loses precision: each layer's output in float against the same layer's in int8."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.stderr import silenced
from edge.types import Float32

from ..flatbuffer import TfliteModel

SAMPLES = 24  # inputs the error is averaged over
CLEAN_DB = 99.0  # of a layer without any error


@dataclass(frozen=True, slots=True)
class LayerError:
    """How far one layer's int8 output lies from float's."""

    layer: str  # "7 CONV_2D"
    sqnr_db: float  # signal to quantization noise


def layer_errors(keras_file: Path, tflite_file: Path, inputs: Float32) -> list[LayerError]:
    """Compare every layer; an empty list when both graphs do not have the same layers.

    The Keras model is converted without quantization, which fuses the same layers; then both graphs
    run the same inputs without delegates, and every intermediate tensor is an output.

    Args:
        keras_file: the trained model.
        tflite_file: the int8 model made from it.
        inputs: (n, ...) real inputs.
    """
    import tensorflow as tf

    from ..networks import portrait
    from ..tflite_worker import fixed_batch

    portrait.upsample()  # registers the custom layer the file may name
    trained = tf.keras.models.load_model(keras_file, compile=False)
    with silenced():  # a page of what it converted and what not
        content = tf.lite.TFLiteConverter.from_keras_model(fixed_batch(trained)).convert()
    graphs = [TfliteModel(content), TfliteModel(tflite_file.read_bytes())]
    names = [[operator.name for operator in graph.operators] for graph in graphs]
    if names[0] != names[1]:
        return []
    runs = [_run(graph, inputs) for graph in graphs]
    signal, noise = np.zeros((2, len(names[0])))
    for exact, rounded in zip(*runs, strict=True):
        for k, (a, b) in enumerate(zip(exact, rounded, strict=True)):
            signal[k] += np.square(a, dtype=np.float64).sum()
            noise[k] += np.square(a - b, dtype=np.float64).sum()
    ratio = 10 * np.log10(signal.clip(1e-30) / noise.clip(1e-30))
    return [
        LayerError(f"{k} {name}", round(float(min(ratio[k], CLEAN_DB)), 2))
        for k, name in enumerate(names[0])
    ]


def _run(graph: TfliteModel, inputs: Float32) -> Iterator[list[Float32]]:
    """Yield the real values of every layer's output for each of the first inputs."""
    import tensorflow as tf

    tensors = [operator.outputs[0] for operator in graph.operators]
    # kept, and never overwritten in place by the layer that follows
    graph.graph.outputs = tensors
    graph.model.signatureDefs = []
    interpreter = tf.lite.Interpreter(
        model_content=graph.content(),
        experimental_op_resolver_type=(
            tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        ),
    )
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    details = {d["index"]: d for d in interpreter.get_tensor_details()}
    for sample in inputs[:SAMPLES]:
        interpreter.set_tensor(entry["index"], _codes(sample[None], entry))
        interpreter.invoke()
        yield [_real(interpreter.get_tensor(t), details[t]) for t in tensors]


def _codes(values: Float32, detail: dict[str, Any]) -> Any:
    scale, zero_point = detail["quantization"]
    if not scale:
        return values.astype(np.float32)
    return np.clip(np.rint(values / scale) + zero_point, -128, 127).astype(np.int8)


def _real(codes: Any, detail: dict[str, Any]) -> Float32:
    scale, zero_point = detail["quantization"]
    real = scale * (codes.astype(np.float32) - zero_point) if scale else codes
    return np.asarray(real, np.float32)
