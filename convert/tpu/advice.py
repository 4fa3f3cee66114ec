"""What to change in a network, for each thing the Edge TPU refuses or may refuse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .graph import Operation
from .mapping import Placement, Prediction
from .status import Status

NEAREST = "tf.compat.v1.image.resize_nearest_neighbor, which becomes RESIZE_NEAREST_NEIGHBOR 2"
DEVIATION = (
    "a standard deviation needs a square root: pool it after the last operation for the Edge TPU, "
    "or let the mean of rectified features stand for it"
)
NORMALISATION = "a layer stayed in floating point; use BatchNormalization, and int8 outputs"
INT8_OUTPUT = "convert with inference_output_type = int8"
STREAMED = (
    "what does not fit is sent with every run, ten times slower over USB 2; average over place or "
    "time before Dense, or use fewer channels"
)

BY_OPERATION: Mapping[str, str] = {
    "BATCH_MATMUL": "attention stays on the CPU: put it last",
    "DEPTH_TO_SPACE": f"double the size with {NEAREST}, and a convolution",
    "DEQUANTIZE": NORMALISATION,
    "DIV": "multiply by a constant instead",
    "ELU": "use ReLU",
    "GATHER": "convert with the batch fixed to 1",
    "GELU": "use ReLU, or SiLU, which becomes LOGISTIC and MUL",
    "HARD_SWISH": "use ReLU6, or SiLU, which becomes LOGISTIC and MUL",
    "LEAKY_RELU": "use ReLU, or PReLU with shared_axes=[1, 2]",
    "MEAN": "use AveragePooling2D, or average in two steps",
    "POW": DEVIATION,
    "QUANTIZE": "convert with inference_input_type = int8",
    "RSQRT": DEVIATION,
    "SHAPE": "convert with the batch fixed to 1",
    "SQRT": DEVIATION,
    "SQUARE": DEVIATION,
    "SQUARED_DIFFERENCE": DEVIATION,
    "TILE": f"UpSampling2D becomes TILE with Keras 3: use {NEAREST}",
    "TRANSPOSE": "keep channels last throughout",
    "WHILE": "unroll the loop",
}
BY_VERSION: Mapping[str, str] = {
    "FULLY_CONNECTED": "flatten before Dense: a Dense over more than one dimension is newer",
    "RESIZE_NEAREST_NEIGHBOR": f"half-pixel centres make version 3: use {NEAREST}",
    "RESIZE_BILINEAR": "use tf.compat.v1.image.resize_bilinear, without half-pixel centres",
    "TRANSPOSE_CONV": "a fused ReLU makes version 4: put another operation between, or upsample "
    f"with {NEAREST}, and a convolution",
}
BY_STATUS: Mapping[Status, str] = {
    Status.RANK: "fix the batch to 1 and use no more than three other dimensions",
    Status.TWO_DIMENSIONS: "fix the batch to 1 and flatten before it",
    Status.NOT_CONSTANT: "make its weights constants of the graph",
    Status.DTYPE: NORMALISATION,
}
GENERAL = "replace it, or move it behind the last operation that is to run on the Edge TPU"
UNSURE: Mapping[str, str] = {
    "RESIZE_BILINEAR": "the compiler refuses some sizes, to keep precision",
    "RESIZE_NEAREST_NEIGHBOR": "the compiler refuses some sizes, to keep precision",
    "TRANSPOSE": "some orders of axes are refused (google-coral/edgetpu#433)",
    "TRANSPOSE_CONV": "large ones are refused now and then (google-coral/edgetpu#686)",
}
PER_CHANNEL = (
    "its weights have a scale per channel, of which nothing is known; convert with "
    "_experimental_disable_per_channel_quantization_for_dense_layers"
)


def advise(placement: Placement, prediction: Prediction) -> str:
    """Return what to do about an operation that is refused, `prediction` being its model's."""
    operation, status = placement.operation, placement.status
    if operation.name == "DEQUANTIZE":  # what asks for floating point is to be changed
        return _advise_float(operation, prediction)
    if status is Status.VERSION and operation.name in BY_VERSION:
        return BY_VERSION[operation.name]
    if status in (Status.UNSUPPORTED, Status.UNSPECIFIED) and operation.name in BY_OPERATION:
        return BY_OPERATION[operation.name]
    return BY_STATUS.get(status, BY_OPERATION.get(operation.name, GENERAL))


def _advise_float(dequantize: Operation, prediction: Prediction) -> str:
    """Return what to do about floating point that begins within a model."""
    made = {tensor.name for tensor in dequantize.outputs}
    for placement in prediction.placements:
        if any(tensor.name in made for tensor in placement.operation.inputs):
            return BY_OPERATION.get(placement.operation.name, NORMALISATION)
    return INT8_OUTPUT


def advise_model(reason: str) -> str:
    """Return what to do about a reason to refuse the whole model."""
    name = reason.partition(" ")[0]
    if "size is not fixed" in reason:
        return "convert with the batch fixed to 1"
    return BY_VERSION.get(name) or BY_OPERATION.get(name, "convert with an older TensorFlow")


def doubts(prediction: Prediction) -> Iterator[tuple[str, int, str]]:
    """Yield operation, how many there are, and why it is not certain that they are taken."""
    counts: dict[tuple[str, str], int] = {}
    for placement in prediction.placements:
        for why in _doubts_of(placement) if placement.mapped else ():
            key = (placement.operation.name, why)
            counts[key] = counts.get(key, 0) + 1
    yield from ((name, count, why) for (name, why), count in counts.items())


def _doubts_of(placement: Placement) -> Iterator[str]:
    operation: Operation = placement.operation
    if operation.name in UNSURE:
        yield UNSURE[operation.name]
    if placement.confidence == "recalled":
        yield "it is taken as far as anybody remembers; the row could not be read again"
    if operation.name == "FULLY_CONNECTED" and operation.inputs[1].scales > 1:
        yield PER_CHANNEL
