"""Reads the tensors of a PyTorch checkpoint, without PyTorch and without running its pickle.

Both formats are read: the zip archive that `torch.save` writes since 1.6 (data.pkl and one stored
entry per storage) and the older stream (three pickles, the object, its storage keys, the storages
one after the other), in which checkpoints of 2020 and before are kept.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from edge.errors import InputError

from .pickle_tree import Call, Global, Reference, read_pickle

Array = npt.NDArray[Any]

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
STORAGES: dict[str, np.dtype[Any]] = {
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.HalfStorage": np.dtype("<f2"),
    "torch.BFloat16Storage": np.dtype("<u2"),  # widened to float32 when read
    "torch.LongStorage": np.dtype("<i8"),
    "torch.IntStorage": np.dtype("<i4"),
    "torch.ShortStorage": np.dtype("<i2"),
    "torch.CharStorage": np.dtype("i1"),
    "torch.ByteStorage": np.dtype("u1"),
    "torch.BoolStorage": np.dtype("?"),
}
_DIMENSIONS = 8  # more than any weight has
_ITEMS = 100_000  # in a checkpoint, nested ones included
_BYTES = 16 << 30  # of all tensors together


def read_pytorch(path: Path) -> Any:
    """Return what was given to `torch.save`, tensors as arrays.

    Returns:
        Nested dict, list and plain values. Tensors are contiguous NumPy arrays, bfloat16 as
        float32; whatever else an object was is a `pickle_tree.Call`.

    Raises:
        InputError: not such a file, a damaged one, or a TorchScript program.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _read_archive(archive)
        with path.open("rb") as stream:
            return _read_stream(stream, path.stat().st_size)
    except InputError as exc:
        raise InputError(f"{path}: {exc}") from exc
    except (zipfile.BadZipFile, RecursionError, NotImplementedError, EOFError) as exc:
        raise InputError(f"{path}: damaged ({exc}); copy the file again") from exc
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror}); check the name") from exc


def _read_archive(archive: zipfile.ZipFile) -> Any:
    entries = {info.filename: info for info in archive.infolist()}
    roots = [name[: -len("data.pkl")] for name in entries if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise InputError("a zip archive, but not one that torch.save wrote")
    (root,) = roots
    if f"{root}constants.pkl" in entries:
        raise InputError("a TorchScript program; save model.state_dict() with torch.save instead")
    order = entries.get(f"{root}byteorder")
    if order is not None and archive.read(order) != b"little":
        raise InputError("written on a big-endian machine; save it again on another one")

    def load(key: str) -> bytes:
        info = entries.get(f"{root}data/{key}")
        if info is None:
            raise InputError(f"storage {key} is missing; copy the file again")
        if info.compress_type != zipfile.ZIP_STORED:
            raise InputError(f"storage {key} is compressed, which torch.save never does")
        return archive.read(info)

    with archive.open(f"{root}data.pkl") as stream:
        tree = read_pickle(stream)  # type: ignore[arg-type]
    return _Tensors(load).resolve(tree)


def _read_stream(stream: BinaryIO, size: int) -> Any:
    if read_pickle(stream) != MAGIC:
        raise InputError("not a file that torch.save wrote")
    if read_pickle(stream) != PROTOCOL:
        raise InputError("of a protocol older than PyTorch 0.4; save it again with a later one")
    system = read_pickle(stream)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise InputError("written on a big-endian machine; save it again on another one")
    tree = read_pickle(stream)
    keys = read_pickle(stream)
    types = dict(_storage_types(tree, set()))
    storages: dict[str, bytes] = {}
    for key in keys if isinstance(keys, list) else []:
        dtype = types.get(str(key))
        header = stream.read(8)
        if dtype is None or len(header) < 8:
            raise InputError("its storages are damaged; copy the file again")
        length = struct.unpack("<q", header)[0] * dtype.itemsize
        if not 0 <= length <= size:
            raise InputError(f"storage {key} is larger than the file; copy the file again")
        storages[str(key)] = stream.read(length)

    def load(key: str) -> bytes:
        if key not in storages:
            raise InputError(f"storage {key} is missing; copy the file again")
        return storages[key]

    return _Tensors(load).resolve(tree)


def _storage_types(tree: Any, seen: set[int]) -> list[tuple[str, np.dtype[Any]]]:
    """Return (key, dtype) of every storage a tree refers to."""
    if id(tree) in seen:
        return []
    seen.add(id(tree))
    if isinstance(tree, Reference):
        key, dtype, _ = _storage(tree)
        return [(key, dtype)]
    children: Any = ()
    if isinstance(tree, Call):
        children = tree.arguments
    elif isinstance(tree, dict):
        children = tree.values()
    elif isinstance(tree, list | tuple):
        children = tree
    return [found for child in children for found in _storage_types(child, seen)]


def _storage(reference: Reference) -> tuple[str, np.dtype[Any], int]:
    """Return key, element type and number of elements of a storage."""
    match reference.key:
        case ("storage", Global(name=kind), key, _, int(count), *rest) if rest in ([], [None]):
            if kind not in STORAGES:
                raise InputError(f"holds a {kind}, which is no plain tensor")
            dtype: np.dtype[Any] = STORAGES[kind]
            return str(key), dtype, count
    raise InputError("refers to storages in a way no current PyTorch does; save it again")


class _Tensors:
    """Rebuilds tensors from recorded calls; each storage is read once."""

    def __init__(self, load: Callable[[str], bytes]) -> None:
        self._load = load
        self._storages: dict[str, Array] = {}
        self._items = 0
        self._bytes = 0

    def resolve(self, tree: Any, depth: int = 0) -> Any:
        """Return the tree with every tensor as an array."""
        self._items += 1
        if depth > 32 or self._items > _ITEMS:
            raise InputError("holds more, or deeper nested, items than a checkpoint does")
        if isinstance(tree, Mapping):
            return {key: self.resolve(value, depth + 1) for key, value in tree.items()}
        if isinstance(tree, list | tuple):
            return [self.resolve(value, depth + 1) for value in tree]
        if isinstance(tree, Call):
            match tree.name, tree.arguments:
                case "torch._utils._rebuild_parameter", (Call() as data, *_):
                    return self.resolve(data, depth + 1)
                case (
                    "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2",
                    (Reference() as storage, offset, size, stride, *_),
                ):
                    return self._tensor(storage, offset, size, stride)
        return tree

    def _tensor(self, storage: Reference, offset: Any, size: Any, stride: Any) -> Array:
        values = self._values(storage)
        numbers = (offset, *size, *stride)
        if len(size) != len(stride) or len(size) > _DIMENSIONS:
            raise InputError("a tensor's size and stride do not fit each other")
        if not all(type(n) is int and n >= 0 for n in numbers):
            raise InputError("a tensor's offset, size or stride is not a count")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if int(np.prod(size, dtype=object)) > len(values) or (
            0 not in size and last >= len(values)
        ):
            raise InputError("a tensor reaches beyond its storage; copy the file again")
        if 0 in size:
            return np.zeros(size, values.dtype)
        self._bytes += int(np.prod(size)) * values.itemsize
        if self._bytes > _BYTES:
            raise InputError(f"its tensors take more than {_BYTES >> 30} GiB")
        step = tuple(n * values.itemsize for n in stride)
        view = np.lib.stride_tricks.as_strided(values[offset:], size, step, writeable=False)
        return np.ascontiguousarray(view).reshape(size)

    def _values(self, reference: Reference) -> Array:
        key, dtype, count = _storage(reference)
        if key not in self._storages:
            content = self._load(key)
            if len(content) != count * dtype.itemsize:
                raise InputError(f"storage {key} is truncated; copy the file again")
            values: Array = np.frombuffer(content, dtype)
            if dtype == STORAGES["torch.BFloat16Storage"]:
                values = (values.astype(np.uint32) << 16).view(np.float32)
            self._storages[key] = values
        return self._storages[key]
