"""Reads the weights of a Keras HDF5 file (`.h5`, `.weights.h5`) as plain arrays, in its own order.

Only datasets are read. The model description some files carry is not: its Lambda layers hold Python
code, which `tf.keras.models.load_model` would run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import InputError, RuntimeUnavailable

Array = npt.NDArray[Any]


def read_hdf5(path: Path) -> dict[str, Array]:
    """Return "layer.weight" → array, layers in the order of the file's own list.

    Raises:
        InputError: not an HDF5 file, or without weights.
        RuntimeUnavailable: h5py is not installed.
    """
    try:
        import h5py  # type: ignore[import-untyped]
    except ImportError as exc:
        raise RuntimeUnavailable(
            "reading HDF5 files needs h5py; run: pip install 'earsight[convert]'"
        ) from exc
    found: dict[str, Array] = {}

    def collect(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu":
            found[name] = np.asarray(item)

    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            root.visititems(collect)
            order = [_text(name) for name in root.attrs.get("layer_names", [])]
    except OSError as exc:
        raise InputError(f"{path}: not a readable HDF5 file ({exc}); copy it again") from exc
    if not found:
        raise InputError(f"{path}: holds no weights; save them with model.save_weights()")
    position = {layer: at for at, layer in enumerate(order)}
    names = sorted(found, key=lambda name: position.get(name.split("/")[0], len(order)))
    return {_short(name): found[name] for name in names}


def _short(name: str) -> str:
    """Turn "conv2d_1/conv2d_1/kernel:0" into "conv2d_1.kernel"."""
    parts = name.split("/")
    return f"{parts[0]}.{parts[-1].split(':')[0]}"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
