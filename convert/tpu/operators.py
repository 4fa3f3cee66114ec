"""Which operations the Edge TPU takes, from which runtime on, and how sure that is.

Sources, by the key that a rule names:

- `table`: the table of supported operations on coral.ai, "TensorFlow models on the Edge TPU", as
  Axis copies it for the same chip (developer.axis.com, "ARTPEC-7, supported ops")
- `changes`: CHANGES.md of google-coral/edgetpu, what each compiler added
- `log`: logs of the compiler that users published, or its makers' words, at the issue named of
  google-coral/edgetpu
- `recalled`: coral.ai's table as remembered; those rows could not be read again

Versions: compiler 16.0, of July 2021, is the last. It loads a model with the interpreter of its
time first, so that an operation newer than that makes it refuse the whole model (#845).
`REGISTERED` is what TensorFlow 2.6 registers (tensorflow/lite/kernels/register.cc), an upper bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from . import limits
from .graph import Operation
from .status import Refusal

Confidence = Literal["documented", "observed", "recalled"]
NEWEST_RUNTIME = 14  # what compiler 16.0 asks of libedgetpu by default


@dataclass(frozen=True, slots=True)
class Rule:
    """When one operation is taken."""

    runtime: int  # the least RuntimeVersion of libedgetpu; 10 has always been
    confidence: Confidence
    source: str
    limit: Callable[[Operation], Refusal | None] = limits.none
    versions: int = 99  # highest version taken; a higher one falls to the CPU


OPERATORS: Mapping[str, Rule] = {
    "ADD": Rule(10, "documented", "table"),
    "AVERAGE_POOL_2D": Rule(10, "documented", "table", limits.no_activation),
    "CONCATENATION": Rule(10, "documented", "table", limits.concatenation),
    "CONV_2D": Rule(10, "documented", "table", limits.convolution),
    "DEPTHWISE_CONV_2D": Rule(10, "documented", "table", limits.convolution),
    "EXPAND_DIMS": Rule(13, "documented", "changes"),
    # version 9 (more than two dimensions kept) was refused in a published log of 16.0
    "FULLY_CONNECTED": Rule(10, "documented", "table", limits.dense, versions=8),
    "L2_NORMALIZATION": Rule(10, "documented", "table"),
    "LOGISTIC": Rule(10, "documented", "table"),
    "MAXIMUM": Rule(10, "documented", "table"),
    "MAX_POOL_2D": Rule(10, "documented", "table", limits.no_activation),
    "MEAN": Rule(10, "documented", "table", limits.mean),
    "MINIMUM": Rule(10, "documented", "table"),
    "MUL": Rule(10, "documented", "table"),
    "PACK": Rule(13, "documented", "table", limits.pack),
    "PAD": Rule(10, "documented", "table", limits.pad),
    "PRELU": Rule(13, "documented", "table", limits.prelu),
    "QUANTIZE": Rule(13, "documented", "table"),
    "REDUCE_MAX": Rule(14, "documented", "table", limits.not_batch),
    "REDUCE_MIN": Rule(14, "documented", "table", limits.not_batch),
    "RELU": Rule(10, "documented", "table"),
    "RELU6": Rule(10, "documented", "table"),
    "RELU_N1_TO_1": Rule(10, "documented", "table"),
    "RESHAPE": Rule(10, "documented", "table"),
    "RESIZE_BILINEAR": Rule(10, "documented", "table"),
    # version 3 (half-pixel centres): refused by 14.1 and 15.0, seen mapped by 16.0
    "RESIZE_NEAREST_NEIGHBOR": Rule(10, "observed", "table, log of #187 and #420", versions=2),
    "RSQRT": Rule(14, "recalled", "recalled"),
    "SLICE": Rule(10, "documented", "table"),
    "SOFTMAX": Rule(10, "documented", "table", limits.softmax),
    "SPACE_TO_DEPTH": Rule(10, "documented", "table"),
    "SPLIT": Rule(10, "documented", "table", limits.split),
    "SQUARED_DIFFERENCE": Rule(14, "recalled", "recalled"),
    "SQUEEZE": Rule(10, "documented", "table"),
    "STRIDED_SLICE": Rule(10, "documented", "table", limits.strided_slice),
    "SUB": Rule(10, "documented", "table"),
    "SUM": Rule(13, "documented", "changes", limits.not_batch),
    "TANH": Rule(10, "documented", "table"),
    "TRANSPOSE": Rule(14, "observed", "makers' words in #193"),
    "TRANSPOSE_CONV": Rule(13, "documented", "changes", limits.transpose_convolution),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Rule(14, "documented", "table"),
}

REGISTERED: Mapping[str, int] = {
    "ADD": 3, "AVERAGE_POOL_2D": 3, "BATCH_MATMUL": 4, "CONCATENATION": 3, "CONV_2D": 5,
    "DEPTHWISE_CONV_2D": 6, "DEPTH_TO_SPACE": 2, "DEQUANTIZE": 4, "DIV": 2, "ELU": 1, "EXP": 1,
    "EXPAND_DIMS": 1, "FULLY_CONNECTED": 9, "GATHER": 5, "HARD_SWISH": 1, "L2_NORMALIZATION": 2,
    "LEAKY_RELU": 2, "LOG": 1, "LOGISTIC": 3, "MAXIMUM": 4, "MAX_POOL_2D": 3, "MEAN": 3,
    "MINIMUM": 4, "MIRROR_PAD": 2, "MUL": 4, "NEG": 1, "PACK": 3, "PAD": 3, "PADV2": 3, "POW": 1,
    "PRELU": 1, "QUANTIZE": 2, "REDUCE_MAX": 3, "REDUCE_MIN": 3, "RELU": 3, "RELU6": 3,
    "RELU_N1_TO_1": 1, "RESHAPE": 1, "RESIZE_BILINEAR": 4, "RESIZE_NEAREST_NEIGHBOR": 4,
    "RSQRT": 2, "SLICE": 5, "SOFTMAX": 3, "SPACE_TO_DEPTH": 2, "SPLIT": 4, "SPLIT_V": 2,
    "SQRT": 1, "SQUARE": 1, "SQUARED_DIFFERENCE": 2, "SQUEEZE": 2, "STRIDED_SLICE": 5, "SUB": 5,
    "SUM": 2, "TANH": 3, "TILE": 2, "TRANSPOSE": 5, "TRANSPOSE_CONV": 3,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 3, "UNPACK": 4,
}  # fmt: skip
LAST_CODE = 139  # HASHTABLE_SIZE: operations of a higher code came after TensorFlow 2.6
