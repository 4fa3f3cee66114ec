"""The known limitations of single operations, one function each.

Every function returns why an operation is refused, None when nothing known speaks against it. Where
each comes from: `operators.OPERATORS`. Shapes are those of TFLite: (batch, y, x, z).
"""

from __future__ import annotations

import numpy as np

from .graph import Operation, Tensor
from .status import Refusal, Status

SOFTMAX_ELEMENTS = 16_000
MEAN_PIXELS = 256 * 128  # google-coral/edgetpu#461: (1, 256, 128, 3) refused, a quarter of it taken


def none(_: Operation) -> Refusal | None:
    """Refuse nothing."""
    return None


def no_activation(operation: Operation) -> Refusal | None:
    """Refuse a fused activation function."""
    if operation.options.get("fusedActivationFunction", 0):
        return _refused("it has a fused activation function")
    return None


def concatenation(operation: Operation) -> Refusal | None:
    """Refuse constants, unless it is one, of zeros, beside one other input."""
    constants = [tensor.data for tensor in operation.inputs if tensor.data is not None]
    if constants and not (len(operation.inputs) == 2 and len(set(constants[0])) == 1):
        return _refused("it joins a constant that is not zero padding")
    return no_activation(operation)


def convolution(operation: Operation) -> Refusal | None:
    """Refuse weights that are computed, and different dilations in x and y."""
    options = operation.options
    if options.get("dilationWFactor", 1) != options.get("dilationHFactor", 1):
        return _refused("its dilation differs in x and y")
    return constant_weights(operation)


def constant_weights(operation: Operation) -> Refusal | None:
    """Refuse weights and biases that are computed; the first input is the data."""
    if all(tensor.constant for tensor in operation.inputs[1:]):
        return None
    return Refusal(Status.NOT_CONSTANT, "its weights are computed")


def transpose_convolution(operation: Operation) -> Refusal | None:
    """Refuse weights that are computed; the inputs are shape, weights, data, bias."""
    if operation.inputs[1].constant:
        return None
    return Refusal(Status.NOT_CONSTANT, "its weights are computed")


def dense(operation: Operation) -> Refusal | None:
    """Refuse more than one row, and weights in another format than the default."""
    if operation.options.get("weightsFormat", 0):
        return _refused("its weights are not in the default format")
    if _rows(operation.outputs[0]) > 1:
        return Refusal(Status.TWO_DIMENSIONS, "its output has more than one row")
    return constant_weights(operation)


def softmax(operation: Operation) -> Refusal | None:
    """Refuse more than one row, and long ones."""
    if _rows(operation.outputs[0]) > 1:
        return Refusal(Status.TWO_DIMENSIONS, "its output has more than one row")
    if operation.outputs[0].shape[-1] > SOFTMAX_ELEMENTS:
        return _refused(f"it has more than {SOFTMAX_ELEMENTS} elements")
    return None


def mean(operation: Operation) -> Refusal | None:
    """Refuse the batch, channels that are no multiple of 4, and large maps."""
    shape, axes = operation.inputs[0].shape, _axes(operation)
    if len(shape) - 1 in axes and shape[-1] % 4:
        return _refused("it averages channels whose number is no multiple of 4")
    if len(shape) == 4 and axes & {1, 2} and shape[1] * shape[2] >= MEAN_PIXELS:
        return _refused(f"it averages a map of {shape[1]} x {shape[2]}, which is large")
    return not_batch(operation)


def not_batch(operation: Operation) -> Refusal | None:
    """Refuse reducing the batch."""
    return _refused("it reduces the batch") if 0 in _axes(operation) else None


def pack(operation: Operation) -> Refusal | None:
    """Refuse packing in the batch."""
    return _refused("it packs in the batch") if operation.options.get("axis", 0) == 0 else None


def pad(operation: Operation) -> Refusal | None:
    """Refuse padding the batch."""
    amounts = _integers(operation.inputs[1])
    return _refused("it pads the batch") if any(amounts[:2]) else None


def prelu(operation: Operation) -> Refusal | None:
    """Refuse a slope for each position instead of each channel."""
    if _rows(operation.inputs[1]) > 1:
        return _refused("it has a slope for each position")
    return None


def split(operation: Operation) -> Refusal | None:
    """Refuse splitting the batch; the first input is the axis."""
    rank = len(operation.inputs[-1].shape)
    if any(axis % rank == 0 for axis in _integers(operation.inputs[0])):
        return _refused("it splits the batch")
    return None


def strided_slice(operation: Operation) -> Refusal | None:
    """Refuse strides other than 1, and masks that add dimensions."""
    if any(stride != 1 for stride in _integers(operation.inputs[3])):
        return _refused("its strides are not all 1")
    if operation.options.get("ellipsisMask", 0) or operation.options.get("newAxisMask", 0):
        return _refused("it has an ellipsis or a new axis")
    return None


def _refused(why: str) -> Refusal:
    return Refusal(Status.UNSPECIFIED, why)


def _rows(tensor: Tensor) -> int:
    """Return how often the innermost dimension is repeated."""
    return int(np.prod(tensor.shape[:-1]))


def _axes(operation: Operation) -> set[int]:
    """Return the axes that the second input names, from 0."""
    rank = len(operation.inputs[0].shape)
    return {axis % rank for axis in _integers(operation.inputs[1])}


def _integers(tensor: Tensor) -> list[int]:
    """Return a constant's int32 values, flat; nothing of one that is computed."""
    return [int(n) for n in np.frombuffer(tensor.data or b"", "<i4")]
