"""Read MakeHuman's file formats: .obj meshes, .target morphs, .mhclo fittings, mask pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.errors import InputError

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Mesh:
    """A polygon mesh as the .obj file has it."""

    vertices: Float32  # (v, 3) dm
    uv: Float32  # (t, 2)
    faces: list[list[int]]  # vertex numbers
    face_uv: list[list[int]]  # uv numbers, 0 where the file gives none
    groups: list[str]  # of each face

    def select(self, keep: list[bool]) -> Mesh:
        """Return the mesh with some of its faces only; vertices stay."""
        chosen = [i for i, kept in enumerate(keep) if kept]
        return Mesh(
            self.vertices,
            self.uv,
            [self.faces[i] for i in chosen],
            [self.face_uv[i] for i in chosen],
            [self.groups[i] for i in chosen],
        )


@dataclass(frozen=True, slots=True)
class Fitting:
    """How a mesh hangs on the base mesh (.mhclo)."""

    anchors: npt.NDArray[np.int64]  # (v, 3) base vertices
    weights: Float32  # (v, 3)
    offsets: Float32  # (v, 3) dm
    scale: tuple[tuple[int, int, float], ...]  # x, y, z: two base vertices, their distance


def triangulate(faces: list[list[int]]) -> Int32:
    """Return the faces as fans of triangles (t, 3)."""
    fans = [(f[0], f[k], f[k + 1]) for f in faces for k in range(1, len(f) - 1)]
    return np.array(fans, np.int32)


def read_mesh(path: Path) -> Mesh:
    """Read an .obj file.

    Raises:
        InputError: if the file is absent or is no mesh.
    """
    vertices: list[list[float]] = []
    uv: list[list[float]] = []
    faces: list[list[int]] = []
    face_uv: list[list[int]] = []
    groups: list[str] = []
    group = ""
    for number, words in _lines(path):
        try:
            if words[0] == "v":
                vertices.append([float(w) for w in words[1:4]])
            elif words[0] == "vt":
                uv.append([float(w) for w in words[1:3]])
            elif words[0] == "g":
                group = words[1] if len(words) > 1 else ""
            elif words[0] == "f":
                corners = [w.split("/") for w in words[1:]]
                faces.append([int(c[0]) - 1 for c in corners])
                face_uv.append([int(c[1]) - 1 if len(c) > 1 and c[1] else 0 for c in corners])
                groups.append(group)
        except (ValueError, IndexError):
            raise InputError(f"{path}:{number}: not a line of an .obj mesh; {_AGAIN}") from None
    if not vertices or not faces:
        raise InputError(f"{path}: an empty mesh; {_AGAIN}")
    return Mesh(np.array(vertices, np.float32), np.array(uv, np.float32), faces, face_uv, groups)


def read_target(path: Path, vertices: int) -> Float32:
    """Read a .target file; return the offset of every base vertex (vertices, 3) in dm.

    Raises:
        InputError: if the file is absent or malformed.
    """
    offsets = np.zeros((vertices, 3), np.float32)
    for number, words in _lines(path):
        if len(words) != 4:
            continue
        try:
            offsets[int(words[0])] = [float(w) for w in words[1:]]
        except (ValueError, IndexError):
            raise InputError(f"{path}:{number}: not a line of a .target; {_AGAIN}") from None
    return offsets


def read_fitting(path: Path, vertices: int) -> Fitting:
    """Read a .mhclo file.

    A key such as `material` may follow the line `verts 0`: what is not a row of numbers is
    skipped, and does not end the list.

    Args:
        path: the file.
        vertices: how many the fitted mesh has.

    Raises:
        InputError: if the file is absent, malformed, or belongs to another mesh.
    """
    anchors: list[list[int]] = []
    weights: list[list[float]] = []
    offsets: list[list[float]] = []
    scale: dict[str, tuple[int, int, float]] = {}
    listing = False
    for number, words in _lines(path):
        key = words[0]
        try:
            if key in ("x_scale", "y_scale", "z_scale"):
                scale[key[0]] = (int(words[1]), int(words[2]), float(words[3]))
            elif key == "verts":
                listing = True
            elif key in ("delete_verts", "weights"):
                listing = False
            elif listing and key.isdigit() and len(words) == 1:  # an exact copy of a base vertex
                anchors.append([int(key)] * 3)
                weights.append([1.0, 0.0, 0.0])
                offsets.append([0.0, 0.0, 0.0])
            elif listing and key.isdigit() and len(words) >= 9:
                anchors.append([int(w) for w in words[:3]])
                weights.append([float(w) for w in words[3:6]])
                offsets.append([float(w) for w in words[6:9]])
        except (ValueError, IndexError):
            raise InputError(f"{path}:{number}: not a line of a .mhclo; {_AGAIN}") from None
    if len(anchors) != vertices or set(scale) != set("xyz"):
        raise InputError(
            f"{path}: fits {len(anchors)} vertices where the mesh has {vertices}; {_AGAIN}"
        )
    return Fitting(
        np.array(anchors),
        np.array(weights, np.float32),
        np.array(offsets, np.float32),
        tuple(scale[axis] for axis in "xyz"),
    )


def read_mask(path: Path) -> Float32:
    """Read a 2048 x 2048 picture as brightness (2048, 2048), 0..1.

    Raises:
        InputError: if the file is absent or is no such picture (a Git LFS pointer, say).
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            mask = np.asarray(picture.convert("L"), np.float32) / 255
    except FileNotFoundError:
        raise InputError(f"{path}: file missing; {_AGAIN}") from None
    except (UnidentifiedImageError, OSError):
        raise InputError(f"{path}: not a picture; {_AGAIN}") from None
    if mask.shape != (2048, 2048):
        raise InputError(f"{path}: {mask.shape[1]} x {mask.shape[0]}, not 2048 x 2048; {_AGAIN}")
    return mask


_AGAIN = "check that the path is a complete checkout of the repository"


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, words) of the lines that are neither empty nor a comment."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                words = line.split()
                if words and not words[0].startswith("#"):
                    yield number, words
    except OSError:
        raise InputError(f"{path}: file missing; {_AGAIN}") from None
