"""A network in two: an int8 trunk, and a tail that stays in floating point, in one file.

Pooling over time is where int8 loses most: the softmax weights of a thousand frames are finer than
its steps, and a standard deviation needs a square root it does not have. The trunk holds nearly all
the work and is whole, so that an accelerator takes all of it; one DEQUANTIZE leads to the tail,
which runs on the CPU.
"""

from __future__ import annotations

from typing import Any

from ..flatbuffer import TfliteModel

_DEQUANTIZE_INT8 = 2  # version of the operator that reads int8


def split(model: Any, cut: str) -> tuple[Any, Any]:
    """Cut a Keras model behind a layer; returns trunk and tail.

    The trunk's output and the tail's input are named `cut`.
    """
    import tensorflow as tf

    middle = model.get_layer(cut).output
    trunk = tf.keras.Model(model.input, {cut: middle}, name=f"{model.name}_trunk")
    given = tf.keras.layers.Input(middle.shape[1:], name=cut)
    tail = tf.keras.Model(middle, model.output)
    return trunk, tf.keras.Model(given, dict(tail(given)), name=f"{model.name}_tail")


def join(trunk: bytes, tail: bytes) -> bytes:
    """Return one TFLite file that runs an int8 trunk, then a floating-point tail on its output."""
    joined, added = TfliteModel(trunk), TfliteModel(tail)
    graph, more = joined.graph, added.graph
    (bridge,) = graph.outputs
    (entry,) = more.inputs
    offset = len(graph.tensors)
    _append_tensors(joined, added)
    codes = _append_codes(joined, added)
    graph.operators.append(_dequantize(joined, int(bridge), int(entry) + offset))
    for operator in more.operators:
        operator.opcodeIndex = codes[operator.opcodeIndex]
        operator.inputs = [i + offset if i >= 0 else i for i in operator.inputs]
        operator.outputs = [i + offset for i in operator.outputs]
        graph.operators.append(operator)
    graph.outputs = [i + offset for i in more.outputs]
    (ours,), (theirs,) = joined.model.signatureDefs, added.model.signatureDefs
    for output in theirs.outputs:
        output.tensorIndex += offset
    ours.outputs = theirs.outputs
    if _version(added.min_runtime()) > _version(joined.min_runtime()):
        _set_min_runtime(joined, added.min_runtime())
    return joined.content()


def _append_tensors(joined: TfliteModel, added: TfliteModel) -> None:
    buffers = joined.model.buffers
    for tensor in added.graph.tensors:
        content = added.model.buffers[tensor.buffer]
        if content.data is None:  # computed while running: the format's empty buffer
            tensor.buffer = 0
        else:
            buffers.append(content)
            tensor.buffer = len(buffers) - 1
        joined.graph.tensors.append(tensor)


def _append_codes(joined: TfliteModel, added: TfliteModel) -> list[int]:
    """Return where each operator code of the tail is found in the joined file."""
    start = len(joined.model.operatorCodes)
    joined.model.operatorCodes.extend(added.model.operatorCodes)
    return [start + i for i in range(len(added.model.operatorCodes))]


def _dequantize(joined: TfliteModel, source: int, target: int) -> Any:
    schema = joined.schema
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = _DEQUANTIZE_INT8
    joined.model.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(joined.model.operatorCodes) - 1
    operator.inputs, operator.outputs = [source], [target]
    return operator


def _set_min_runtime(joined: TfliteModel, version: str) -> None:
    for entry in joined.model.metadata or []:
        if entry.name in ("min_runtime_version", b"min_runtime_version"):
            joined.model.buffers[entry.buffer].data = list(version.encode().ljust(16, b"\0"))


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
