"""What the compiler says of an operation, word for word."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The third column of the compiler's table; collected from published logs of 2.0 to 16.0."""

    MAPPED = "Mapped to Edge TPU"
    UNSUPPORTED = "Operation not supported"
    VERSION = "Operation version not supported"
    SUBGRAPH = "More than one subgraph is not supported"
    UNSPECIFIED = (
        "Operation is otherwise supported, but not mapped due to some unspecified limitation"
    )
    DTYPE = "Operation is working on an unsupported data type"
    RANK = "Tensor has unsupported rank (up to 3 innermost dimensions mapped)"
    NOT_CONSTANT = "Filter, bias, or other param is not constant at compile-time"
    TWO_DIMENSIONS = "For example, a fully-connected or softmax layer with 2D output"
    IMPRECISE = "Image-interpolation layer won't run precisely enough on Edge TPU"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an operation is not taken."""

    status: Status
    why: str  # of this operation, in a few words
