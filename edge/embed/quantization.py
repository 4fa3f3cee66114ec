"""Real values to and from a model's tensors; int8 is affine: real = scale × (code − zero point)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..types import Float32

if TYPE_CHECKING:
    from ..manifest import TensorInfo

Array = npt.NDArray[Any]


def quantize(values: Array, tensor: TensorInfo) -> Array:
    """Return the tensor's codes nearest to real values, saturating at the ends of its range.

    The shape is that of `values`, the dtype the tensor's; a float32 tensor holds real values.
    """
    if tensor.dtype == "float32":
        return np.asarray(values, np.float32)
    limits = np.iinfo(tensor.dtype)
    codes = np.rint(np.asarray(values, np.float64) / tensor.scale) + tensor.zero_point
    clipped: Array = np.clip(codes, limits.min, limits.max).astype(tensor.dtype)
    return clipped


def dequantize(codes: Array, tensor: TensorInfo) -> Float32:
    """Return the real values that a tensor's codes stand for, in the shape of `codes`."""
    if tensor.dtype == "float32":
        return np.asarray(codes, np.float32)
    return np.asarray(tensor.scale * (codes.astype(np.float64) - tensor.zero_point), np.float32)
