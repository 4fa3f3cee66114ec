"""A ready-made single-shot detector → a model file as a bundle wants it: fixed shapes, names."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.errors import InputError

from ..flatbuffer import Operator, TfliteModel

DYNAMIC = ("SHAPE", "STRIDED_SLICE", "PACK")  # how exporters spell an unknown batch size


def fix_shapes(content: bytes) -> bytes:
    """Return a detector with its shapes made constant and its tensors named.

    Exporters compute the shape of a RESHAPE at run time, so that the file declares outputs of
    (1, 1, 4) and gives (1, anchors, 4): an interpreter cannot be held to that. What the model
    computes stays the same.

    Args:
        content: a .tflite file with an image as input, boxes (…, 4) and scores (…, 2) as outputs.

    Raises:
        InputError: the file is no such model.
    """
    model = TfliteModel(content)
    graph = model.graph
    sides = [int(graph.tensors[index].shape[-1]) for index in graph.outputs]
    if len(graph.inputs) != 1 or sorted(sides) != [2, 4]:
        raise InputError("not a face detector: an image in, boxes and scores out are needed")
    for operator in model.operators:
        _fix(model, operator)
    graph.operators = [
        entry
        for entry, operator in zip(graph.operators, model.operators, strict=True)
        if operator.name not in DYNAMIC
    ]
    graph.tensors[graph.inputs[0]].name = "image"
    for index, side in zip(graph.outputs, sides, strict=True):
        graph.tensors[index].name = {4: "boxes", 2: "scores"}[side]
    return model.content()


def _fix(model: TfliteModel, operator: Operator) -> None:
    """Give the output of one operator the shape that it has at run time."""
    tensors = model.graph.tensors
    first, out = tensors[operator.inputs[0]], tensors[operator.outputs[0]]
    if operator.name == "RESHAPE":
        last = int(out.shape[-1])
        shape = [1, int(np.prod(first.shape)) // last, last]
        tensors[operator.inputs[1]].buffer = _constant(model, shape)
    elif operator.name == "CONCATENATION":
        rows = sum(int(tensors[index].shape[1]) for index in operator.inputs)
        shape = [1, rows, int(first.shape[2])]
    elif operator.name == "SOFTMAX":
        shape = [int(n) for n in first.shape]
    else:
        return
    out.shape, out.shapeSignature = np.array(shape, np.int32), None


def _constant(model: TfliteModel, values: list[int]) -> int:
    """Add a constant to the model and return the number of its buffer."""
    buffer: Any = model.schema.BufferT()
    buffer.data = np.frombuffer(np.array(values, "<i4").tobytes(), np.uint8)
    model.model.buffers.append(buffer)
    return len(model.model.buffers) - 1
