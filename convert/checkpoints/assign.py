"""Puts a checkpoint's tensors into a Keras network, by name, and says what does not fit."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import InputError

Array = npt.NDArray[Any]
Axes = tuple[int, ...]

COUNTERS = "*.num_batches_tracked"  # PyTorch counts the batches of every batch norm
# Keras' name of a weight → what checkpoints call it; "" is a bare parameter named like its layer
_NAMES = {
    "kernel": ("weight", "kernel", ""),
    "depthwise_kernel": ("weight", "depthwise_kernel"),
    "bias": ("bias",),
    "gamma": ("weight", "gamma"),
    "beta": ("bias", "beta"),
    "moving_mean": ("running_mean", "moving_mean"),
    "moving_variance": ("running_var", "moving_variance"),
    "alpha": ("weight", "alpha"),
}


@dataclass(frozen=True, slots=True)
class Rules:
    """How an original differs from its Keras network, beyond the order of a kernel's axes."""

    keras_axes: bool = False  # tensors are stored as Keras has them: kernels (h, w, in, out)
    transposed: bool = False  # the original's height is our width (frequency before time)
    bgr: tuple[str, ...] = ()  # convolutions that see BGR there and RGB here
    flat_input: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    # dense layers after a flattening, or before an unflattening, of (channels, height, width)
    flat_output: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)


def fill(model: Any, tensors: Mapping[str, Array], rules: Rules) -> set[str]:
    """Set every trainable layer of a Keras model from tensors named after it.

    Returns:
        The names that were used.

    Raises:
        InputError: a tensor is missing or has another shape; names it.
    """
    names, missing = _find(model, tensors, rules)
    if missing:
        raise InputError(f"tensor {missing[0]} is missing{_more(missing)}; is it another layout?")
    for layer, found in names.items():
        values = [
            _converted(layer, variable, name, tensors[name], rules)
            for variable, name in zip(layer.weights, found, strict=True)
        ]
        layer.set_weights(values)
    return {name for found in names.values() for name in found}


def refuse_extra(names: Iterable[str], used: set[str], ignored: tuple[str, ...]) -> None:
    """Raise InputError naming the first tensor that no layer took and no pattern explains."""
    patterns = (*ignored, COUNTERS)
    extra = [
        name
        for name in names
        if name not in used and not any(fnmatch.fnmatchcase(name, p) for p in patterns)
    ]
    if extra:
        raise InputError(
            f"tensor {extra[0]} belongs to no layer{_more(extra)}; is it another layout?"
        )


def checkpoint_shape(layer: Any, variable: Any, rules: Rules) -> tuple[int, ...]:
    """Return the shape a checkpoint must have for a Keras variable."""
    shape = tuple(int(n) for n in variable.shape)
    axes = _axes(layer, variable, rules)
    return tuple(shape[axes.index(i)] for i in range(len(axes)))


def checkpoint_tensors(model: Any, rules: Rules) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every tensor that `fill` looks for."""
    return {
        _join(layer.name, _NAMES[_weight_kind(variable)][0]): checkpoint_shape(
            layer, variable, rules
        )
        for layer in model.layers
        if layer.weights and layer.trainable
        for variable in layer.weights
    }


def by_order(model: Any, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Rename tensors after the model's layers, the first convolution to the first, and so on.

    For re-implementations that follow a published table but name their modules freely. Layers are
    told apart as convolutions, dense layers and batch norms.

    Raises:
        InputError: the file has more or fewer layers of a kind than the model.
    """
    modules: dict[str, dict[str, Array]] = {}
    for name, array in tensors.items():
        module, _, part = name.rpartition(".")
        modules.setdefault(module, {})[part] = array
    theirs: dict[str, list[str]] = {}
    for module, parts in modules.items():
        theirs.setdefault(_kind_of_tensors(parts), []).append(module)
    ours: dict[str, list[str]] = {}
    for layer in model.layers:
        if layer.weights and layer.trainable:
            ours.setdefault(_kind_of_layer(layer), []).append(layer.name)
    renamed: dict[str, Array] = {}
    for kind, names in ours.items():
        found = theirs.get(kind, [])
        if len(found) != len(names):
            raise InputError(
                f"has {len(found)} {kind} layers, the network has {len(names)}; "
                "is it another layout?"
            )
        for layer_name, module in zip(names, found, strict=True):
            renamed |= {f"{layer_name}.{part}": array for part, array in modules[module].items()}
    return renamed


def _find(
    model: Any, tensors: Mapping[str, Array], rules: Rules
) -> tuple[dict[Any, list[str]], list[str]]:
    """Return the tensor of every weight of every layer, and what is missing, with its shape."""
    names: dict[Any, list[str]] = {}
    missing = []
    for layer in model.layers:
        if not layer.weights or not layer.trainable:
            continue
        names[layer] = []
        for variable in layer.weights:
            candidates = [_join(layer.name, name) for name in _NAMES[_weight_kind(variable)]]
            name = next((c for c in candidates if c in tensors), None)
            if name is None:
                missing.append(f"{candidates[0]} {checkpoint_shape(layer, variable, rules)}")
            else:
                names[layer].append(name)
    return names, missing


def _weight_kind(variable: Any) -> str:
    """Return Keras' own name of a weight: "kernel", "gamma", and so on."""
    return str(variable.name).split("/")[-1].split(":")[0]


def _kind_of_tensors(parts: Mapping[str, Array]) -> str:
    if "running_mean" in parts or "moving_mean" in parts:
        return "batch norm"
    kernel = parts.get("weight", parts.get("kernel"))
    if kernel is None:
        return "other"
    return {4: "convolution", 2: "dense"}.get(kernel.ndim, "other")


def _kind_of_layer(layer: Any) -> str:
    kind = type(layer).__name__
    if kind == "BatchNormalization":
        return "batch norm"
    return "dense" if kind == "Dense" else "convolution"


def _converted(layer: Any, variable: Any, name: str, tensor: Array, rules: Rules) -> Array:
    """Return a tensor as the Keras variable wants it."""
    shape = tuple(int(n) for n in variable.shape)
    axes = _axes(layer, variable, rules)
    wanted = tuple(shape[axes.index(i)] for i in range(len(axes)))
    value = _padded(tensor, len(wanted), bare=name == layer.name, rules=rules)
    if value.shape != wanted:
        raise InputError(f"tensor {name} is {tensor.shape}, this network needs {wanted}")
    if not np.isfinite(value).all():
        raise InputError(f"tensor {name} holds values that are not finite")
    value = np.transpose(value.astype(np.float32), axes)
    if layer.name in rules.bgr and value.ndim == 4:
        value = value[:, :, ::-1]
    if layer.name in rules.flat_input and value.ndim == 2:
        value = _channels_last(value, rules.flat_input[layer.name])
    if layer.name in rules.flat_output:
        value = _channels_last(value.T, rules.flat_output[layer.name]).T
    return np.ascontiguousarray(value)


def _axes(layer: Any, variable: Any, rules: Rules) -> Axes:
    """Return the transposition from a checkpoint's tensor to the Keras variable."""
    count = len(variable.shape)
    if rules.keras_axes or count == 1:
        return tuple(range(count))
    kind = type(layer).__name__
    if kind == "PReLU":
        return (1, 2, 0)  # (channels, 1, 1) → (1, 1, channels)
    if count == 2:
        return (1, 0)
    height, width = (3, 2) if rules.transposed else (2, 3)
    if kind == "Conv2DTranspose":
        return (height, width, 1, 0)  # (in, out, h, w) → (h, w, out, in)
    if kind == "DepthwiseConv2D":
        return (height, width, 0, 1)  # (channels, 1, h, w) → (h, w, channels, 1)
    return (height, width, 1, 0)  # (out, in, h, w) → (h, w, in, out)


def _padded(tensor: Array, count: int, bare: bool, rules: Rules) -> Array:
    """Give a linear layer's matrix, a 1-D convolution's kernel or a vector its missing axes.

    A bare parameter multiplies from the right, so it is (in, out).
    """
    if rules.keras_axes:  # (length, in, out), time being the height
        return tensor[:, None] if tensor.ndim == 3 and count == 4 else tensor
    if bare and tensor.ndim == 2:
        tensor = tensor.T
    missing = count - tensor.ndim
    return tensor.reshape(tensor.shape + (1,) * missing) if missing > 0 else tensor


def _channels_last(matrix: Array, chw: tuple[int, int, int]) -> Array:
    """Reorder the first axis of (c * h * w, n) to (h * w * c, n)."""
    rest = matrix.shape[1:]
    return np.moveaxis(matrix.reshape(*chw, *rest), 0, 2).reshape(matrix.shape)


def _join(layer: str, name: str) -> str:
    return f"{layer}.{name}" if name else layer


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
