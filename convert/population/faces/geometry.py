"""Head geometry: the MakeHuman base head, its morph targets and the meshes that ride on it.

The pack is one .npz of CC0 MakeHuman assets, made by `assets.build_pack`. Units are decimetres,
y is up and the face looks along +z. The canonical head is the mean young adult; a vertex's place
on it is its texture coordinate, so that skin detail sticks to the anatomy under every morph.
"""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import InputError

from .noise import noise_lattice

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
UInt8 = npt.NDArray[np.uint8]

HOW_TO_BUILD = (
    "build the pack from checkouts of the public MakeHuman repositories with "
    "convert.population.faces.assets.build_pack"
)
OPPOSITES = (  # the two ends of MakeHuman's signed sliders, as its file names spell them
    ("decr", "incr"),
    ("down", "up"),
    ("in", "out"),
    ("backward", "forward"),
    ("concave", "convex"),
    ("compress", "uncompress"),
)
THIN_CARD = 0.05  # dm; a connected piece of hair narrower than twice this is a strand card
LASHES = "lash_eyelashes01"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A mesh hung on the head (eyes, hair, brows, lashes) by MakeHuman's .mhclo fitting."""

    triangles: Int32  # (t, 3)
    anchors: Int32  # (v, 3) head vertices that carry each proxy vertex
    weights: Float32  # (v, 3) of the anchors
    offsets: Float32  # (v, 3) dm, before scaling
    scale_from: Int32  # (3, 2) head vertices whose distance along x, y, z scales the offsets
    scale_unit: Float32  # (3,) dm, those distances on the base head
    rest: Float32  # (v, 3) place on the canonical head
    edge: Float32  # (v,) dm, geodesic distance to the mesh's open edge


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Places on the canonical head, dm."""

    eye_x: float
    eye_y: float
    eye_z: float
    mouth_y: float
    mouth_z: float
    nose_y: float
    nose_z: float


@dataclass(frozen=True, slots=True)
class Geometry:
    """Everything that faces are made of; read-only and shared by all of them."""

    base: Float32  # (n, 3) dm
    canonical: Float32  # (n, 3) dm
    target_index: Mapping[str, int]
    target_start: npt.NDArray[np.int64]  # (targets + 1,) first row of each target
    target_vertex: Int32  # (rows,)
    target_offset: Float32  # (rows, 3) dm
    sliders: Mapping[str, tuple[tuple[int, int], ...]]  # name -> (negative, positive) targets
    head_shapes: tuple[str, ...]  # targets without an opposite: oval, round, ...
    asymmetries: tuple[str, ...]
    skin_triangles: Int32  # (t, 3)
    skin_masks: Float32  # (n, 12), columns named in `skin`
    crown: int  # vertex
    chin: int  # vertex
    landmarks: Landmarks
    eyes: Proxy
    eye_uv: Float32  # (v, 2)
    eye_occlusion: Float32  # (v,) 0 is hidden from all light, 1 open
    hair: Mapping[str, Proxy]
    brows: Mapping[str, Proxy]
    lashes: Proxy
    lash_tip: Float32  # (v,) 0 at the root, 1 at the tip
    lash_upper: npt.NDArray[np.bool_]  # (v,)
    grooves: Float32  # (rows, columns, 4) 0..1: forehead, crow's feet, mouth, eye bags and neck
    noise: Float32  # (32, 32, 32)


@functools.cache
def load_geometry(path: Path | str) -> Geometry:
    """Read the pack; later calls with the same path return the same object.

    Raises:
        InputError: if the file is absent, or is not a complete pack.
    """
    try:
        with np.load(path, allow_pickle=False) as pack:
            return _unpack({name: _widen(pack[name]) for name in pack.files})
    except FileNotFoundError:
        raise InputError(f"{path}: no head geometry there; {HOW_TO_BUILD}") from None
    except (OSError, ValueError, KeyError, IndexError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a head geometry pack ({reason}); {HOW_TO_BUILD}") from None
    except zipfile.BadZipFile:
        raise InputError(f"{path}: a damaged head geometry pack; {HOW_TO_BUILD}") from None


def _widen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Undo the compact storage types: float16 to float32, uint16 to int32."""
    wide = {"float16": np.float32, "uint16": np.int32}.get(array.dtype.name)
    return array if wide is None else array.astype(wide)


def _unpack(pack: Mapping[str, npt.NDArray[Any]]) -> Geometry:
    names = [str(name) for name in pack["tnames"]]
    index = {name: i for i, name in enumerate(names)}
    sliders, single = _pair_targets(index)
    canonical, skin = pack["canon"], pack["skin_tri"]
    crown, chin = _crown_and_chin(canonical, skin)
    landmarks = Landmarks(*(float(v) for v in pack["lm"]))
    eyes = _proxy(pack, "eyes")
    eye_uv = np.zeros((len(eyes.rest), 2), np.float32)
    eye_uv[eyes.triangles.ravel()] = pack["eyes_uv"].reshape(-1, 2)
    tip, upper = _lash_roots(pack, landmarks)
    return Geometry(
        base=pack["base"],
        canonical=canonical,
        target_index=index,
        target_start=pack["t_ptr"],
        target_vertex=pack["t_idx"],
        target_offset=pack["t_val"],
        sliders=sliders,
        head_shapes=tuple(n for n in single if n.startswith("head/head-")),
        asymmetries=tuple(n for n in single if n.startswith("asym")),
        skin_triangles=skin,
        skin_masks=pack["attr"],
        crown=crown,
        chin=chin,
        landmarks=landmarks,
        eyes=eyes,
        eye_uv=eye_uv,
        eye_occlusion=pack["aoE"],
        hair=_proxies(pack, "hair_"),
        brows=_proxies(pack, "brow_"),
        lashes=_proxy(pack, LASHES),
        lash_tip=tip,
        lash_upper=upper,
        grooves=pack["wr"].astype(np.float32) / 255.0,
        noise=noise_lattice(),
    )


def _pair_targets(
    index: Mapping[str, int],
) -> tuple[dict[str, tuple[tuple[int, int], ...]], list[str]]:
    """Return sliders (left and right halves under one name) and the targets with no opposite."""
    sliders: dict[str, tuple[tuple[int, int], ...]] = {}
    single = []
    for name in index:
        if name.startswith("macrodetails"):
            continue
        stem, end = name.rsplit("-", 1)
        negative = {up: f"{stem}-{down}" for down, up in OPPOSITES}.get(end, "")
        positive = {down: f"{stem}-{up}" for down, up in OPPOSITES}.get(end, "")
        if negative in index:
            slider = stem.replace("/l-", "/").replace("/r-", "/")
            pair = (index[negative], index[name])
            sliders[slider] = (*sliders.get(slider, ()), pair)
        elif positive not in index:
            single.append(name)
    return sliders, single


def _proxies(pack: Mapping[str, npt.NDArray[Any]], prefix: str) -> dict[str, Proxy]:
    keys = [
        name[: -len("_tri")] for name in pack if name.startswith(prefix) and name.endswith("_tri")
    ]
    return {key.removeprefix(prefix): _proxy(pack, key) for key in keys}


def _proxy(pack: Mapping[str, npt.NDArray[Any]], key: str) -> Proxy:
    triangles, scale = pack[f"{key}_tri"], pack[f"{key}_sc"]
    edge, widest_edge = pack[f"{key}_ed"][:, 0], pack[f"{key}_ed"][:, 1]
    if key.startswith("hair_"):  # strand cards mean nothing without their textures
        triangles = triangles[widest_edge[triangles[:, 0]] > THIN_CARD]
    return Proxy(
        triangles=np.ascontiguousarray(triangles),
        anchors=pack[f"{key}_ref"],
        weights=pack[f"{key}_w"],
        offsets=pack[f"{key}_off"],
        scale_from=scale[:, :2].astype(np.int32),
        scale_unit=scale[:, 2],
        rest=pack[f"{key}_rest"],
        edge=np.ascontiguousarray(edge),
    )


def _crown_and_chin(canonical: Float32, skin: Int32) -> tuple[int, int]:
    """Return the highest skin vertex, and the lowest one on the front of the chin's midline."""
    used = np.unique(skin)
    x, y, z = canonical[used].T
    front = (np.abs(x) < 0.05) & (z > 1.25) & (y > 6.0) & (y < 6.6)
    return int(used[np.argmax(y)]), int(used[front][np.argmin(y[front])])


def _lash_roots(
    pack: Mapping[str, npt.NDArray[Any]], landmarks: Landmarks
) -> tuple[Float32, npt.NDArray[np.bool_]]:
    """Return how far along its lash each vertex lies, and whether it belongs to an upper lash."""
    rest, component = pack[f"{LASHES}_rest"], pack[f"{LASHES}_ed"][:, 2]
    side = np.where(rest[:, :1] > 0, 1, -1)
    centre = side * np.array([landmarks.eye_x, 0, 0])
    centre = centre + np.array([0, landmarks.eye_y, landmarks.eye_z - 0.05])
    distance = np.linalg.norm(rest - centre, axis=1)
    low, high = np.percentile(distance, 2), np.percentile(distance, 98)
    tip = np.clip((distance - low) / (high - low), 0, 1).astype(np.float32)
    upper = np.zeros(len(rest), np.bool_)
    for piece in np.unique(component):
        members = component == piece
        upper[members] = rest[members, 1].mean() > landmarks.eye_y - 0.02
    return tip, upper
