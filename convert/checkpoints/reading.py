"""Any weight file → one flat mapping of tensor names to arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import InputError

Array = npt.NDArray[Any]

# what a checkpoint calls the weights among its other entries (optimizer, step, ...)
_WRAPPERS = ("state_dict", "model_state_dict")
# what a wrapper around the network puts before every name: data parallel training, and the trainer
# of voxceleb_trainer
_PREFIXES = ("module.", "__S__.")


def read_tensors(path: Path) -> dict[str, Array]:
    """Return tensor name → array of a PyTorch, NPZ or HDF5 file, in the file's order.

    Nested dictionaries are joined with dots; of a training checkpoint only the weights are
    returned; `module.` and `__S__.` before names are dropped. No code in the file runs.

    Raises:
        InputError: the file cannot be used; names it and says why.
        RuntimeUnavailable: an HDF5 file, and h5py is not installed.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the name")
    with path.open("rb") as stream:
        start = stream.read(8)
    if start == b"\x89HDF\r\n\x1a\n":
        from .hdf5 import read_hdf5

        return read_hdf5(path)
    if zipfile.is_zipfile(path) and _holds_arrays(path):
        return _strip(_read_npz(path))
    if start.startswith(b"PK") and not zipfile.is_zipfile(path):  # its directory is at its end
        raise InputError(f"{path}: an archive without its end; copy the file again")
    from .pytorch import read_pytorch

    found = dict(_flatten(_weights(read_pytorch(path)), ""))
    if not found:
        raise InputError(
            f"{path}: holds no tensors; a whole pickled network cannot be read, "
            "save its state_dict() instead"
        )
    return _strip(found)


def _holds_arrays(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def _read_npz(path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, zipfile.BadZipFile, OSError, EOFError) as exc:
        raise InputError(f"{path}: not a sound NPZ file of plain arrays ({exc})") from exc


def _weights(tree: Any) -> Any:
    """Return the part of a training checkpoint that holds the network."""
    if isinstance(tree, Mapping):
        for name in _WRAPPERS:
            if isinstance(tree.get(name), Mapping):
                return tree[name]
    return tree


def _flatten(tree: Any, where: str) -> Iterator[tuple[str, Array]]:
    if isinstance(tree, np.ndarray):
        yield where, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _flatten(value, f"{where}.{key}" if where else str(key))


def _strip(tensors: dict[str, Array]) -> dict[str, Array]:
    for prefix in _PREFIXES:
        tensors = {name.removeprefix(prefix): array for name, array in tensors.items()}
    return tensors
