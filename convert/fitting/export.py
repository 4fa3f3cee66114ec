"""Trained networks as the checkpoint that `earsight-convert import` takes: an NPZ of named tensors.

Names, order of axes and everything else are those of the published checkpoint, so that one layout
describes both.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.storage import write_private

from ..checkpoints.assign import Rules
from ..checkpoints.layouts import find_layout

Array = npt.NDArray[Any]

_NAMES = {
    "kernel": "weight", "depthwise_kernel": "weight", "gamma": "weight", "alpha": "weight",
    "bias": "bias", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var",
}  # fmt: skip
_BARE = ("V.model.attention",)  # parameters without a module, which multiply from the right
_MATRICES = (".sap_linear", ".se.fc.0", ".se.fc.2")  # linear there, 1 x 1 convolutions here


def write_checkpoint(networks: Mapping[str, Any], layout: str, out: Path) -> None:
    """Write networks, role → Keras model, as an NPZ of a layout.

    Raises:
        StorageError: the disk refuses.
    """
    described = find_layout(layout)
    arrays = {name: np.asarray(table, np.float32) for name, table in described.tables().items()}
    for part in described.parts:
        arrays |= dict(tensors_of(networks[part.role], part.rules))
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_private(out, buffer.getvalue())


def tensors_of(network: Any, rules: Rules) -> Iterator[tuple[str, Array]]:
    """Yield name and tensor of every trained weight, the way back of `checkpoints.assign.fill`."""
    for layer in network.layers:
        if not layer.weights or not layer.trainable:
            continue
        for variable in layer.weights:
            kind = variable.name.split("/")[-1].split(":")[0]
            name = layer.name if layer.name in _BARE else f"{layer.name}.{_NAMES[kind]}"
            yield name, _published(layer, kind, variable.numpy(), rules)


def _published(layer: Any, kind: str, value: Array, rules: Rules) -> Array:
    if kind == "alpha":
        return value.reshape(-1)
    if value.ndim == 1:
        return value
    if layer.name in _BARE:
        return value.reshape(value.shape[-2:])
    if layer.name.endswith(_MATRICES):
        return value.reshape(value.shape[-2:]).T
    if value.ndim == 2:
        if layer.name in rules.flat_input:
            value = _channels_first(value, rules.flat_input[layer.name])
        return value.T
    if layer.name in rules.bgr:
        value = value[:, :, ::-1]
    if kind == "depthwise_kernel":  # (h, w, channels, 1) → (channels, 1, h, w)
        value = value.transpose(0, 1, 3, 2)
    height, width = (1, 0) if rules.transposed else (0, 1)
    return value.transpose(3, 2, height, width)


def _channels_first(matrix: Array, chw: tuple[int, int, int]) -> Array:
    """Reorder the first axis of (h * w * c, n) to (c * h * w, n)."""
    channels, height, width = chw
    return np.moveaxis(matrix.reshape(height, width, channels, -1), 2, 0).reshape(matrix.shape)
