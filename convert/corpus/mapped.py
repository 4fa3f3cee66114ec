"""Arrays of an NPZ file without reading the file: where each lies, and its rows on demand."""

from __future__ import annotations

import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import StorageError

LOCAL_HEADER = 30  # bytes, before name and extra field (PKWARE's APPNOTE, 4.3.7)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an array lies in a file."""

    offset: int  # bytes
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def find_arrays(path: Path, *names: str) -> list[Place]:
    """Return where arrays of an uncompressed NPZ file lie.

    Raises:
        StorageError: the file is no such NPZ.
    """
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            return [_place(archive, file, archive.getinfo(f"{name}.npy")) for name in names]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, struct.error) as exc:
        raise StorageError(f"{path}: damaged ({exc}); run the same `embed` command again") from exc


def map_array(path: Path, place: Place) -> npt.NDArray[Any]:
    """Return a read-only view of an array in a file; its pages are read when touched.

    Raises:
        StorageError: the file is gone or shorter.
    """
    try:
        return np.memmap(path, place.dtype, "r", place.offset, place.shape)
    except (OSError, ValueError) as exc:
        raise StorageError(f"{path}: cannot be read ({exc})") from exc


def _place(archive: zipfile.ZipFile, file: Any, info: zipfile.ZipInfo) -> Place:
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError("compressed")
    file.seek(info.header_offset)
    name, extra = struct.unpack("<26x2H", file.read(LOCAL_HEADER))
    start = info.header_offset + LOCAL_HEADER + name + extra
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)  # type: ignore[no-untyped-call]
        if version != (1, 0):
            raise ValueError(f"array format {version}")
        header = np.lib.format.read_array_header_1_0(member)  # type: ignore[no-untyped-call]
        shape, fortran, dtype = header
        if fortran and len(shape) > 1:
            raise ValueError("columns first")
        return Place(start + member.tell(), dtype, shape)
