"""Build the head-geometry pack from your own checkouts of the public MakeHuman repositories.

Three repositories are read; all assets in them are CC0 1.0 (their licence files say so; the
programs around them are not, and none of their code is used here):

    makehuman         base mesh, morph targets, eyes             (written for commit a8bc2d54)
    makehuman-assets  hair, eyebrows, eyelashes                  (written for commit 8cf9645b)
    mpfb2             black-and-white masks of lips, ears, lids  (written for commit 80919fa4)

Clone with GIT_LFS_SKIP_SMUDGE=1: the large textures are not needed. About 470 files, 28 MB, become
one of 2 MB.
"""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import InputError, StorageError

from .anatomy import ambient_occlusion, anatomy_masks, landmarks
from .geometry import LASHES
from .grooves import groove_map
from .makehuman_files import (
    Fitting,
    Mesh,
    read_fitting,
    read_mask,
    read_mesh,
    read_target,
    triangulate,
)
from .mesh_edges import edge_distance
from .morph import RACES

Array = npt.NDArray[Any]

HAIR = (
    "afro01", "bob01", "bob02", "braid01", "long01", "ponytail01",
    "short01", "short02", "short03", "short04",
)  # fmt: skip
BROWS = tuple(f"eyebrow{number:03d}" for number in range(1, 13))
DETAILS = (
    "head", "nose", "mouth", "chin", "cheek", "ears", "eyes", "forehead", "eyebrows", "neck",
    "asym",
)  # fmt: skip
UNUSED_TARGETS = ("head-trans", "breast", "trunk", "neck-trans", "pointed")
LOWEST, WIDEST = 4.9, 2.5  # dm; what of the body is kept as head and shoulders
SMALLEST_OFFSET = 5e-5  # dm; rows of a target that move less are left out


def build_pack(makehuman: Path, assets: Path, mpfb2: Path, out: Path) -> Path:
    """Write the pack that `geometry.load_geometry` reads.

    Args:
        makehuman: checkout of the makehuman repository.
        assets: checkout of makehuman-assets.
        mpfb2: checkout of mpfb2.
        out: the .npz file to write; replaced when it exists.

    Returns:
        `out`.

    Raises:
        InputError: if a file of the checkouts is missing or malformed; the message names it.
        StorageError: if `out` cannot be written.
    """
    data = makehuman / "makehuman" / "data"
    body = read_mesh(data / "3dobjs" / "base.obj")
    head = body.select([_is_head(body, i) for i in range(len(body.faces))])
    proxies = _read_proxies(data, assets / "base")
    needed = {i for face in head.faces for i in face}
    for _, fitting in proxies.values():
        needed.update(fitting.anchors.ravel().tolist())
        needed.update(i for a, b, _ in fitting.scale for i in (a, b))
    keep = np.array(sorted(needed))
    renumber = np.full(len(body.vertices), -1)
    renumber[keep] = np.arange(len(keep))

    names, offsets = _read_targets(data / "targets", len(body.vertices), keep)
    pack: dict[str, Array] = {"base": body.vertices[keep], "tnames": np.array(names)}
    pack |= _sparse(offsets)
    pack["canon"] = _canonical(body.vertices[keep], dict(zip(names, offsets, strict=True)))
    skin = renumber[triangulate(head.faces)].astype(np.int32)
    pack["skin_tri"] = skin.astype(np.uint16)
    for key, (mesh, fitting) in proxies.items():
        pack |= _proxy_arrays(key, mesh, fitting, pack["canon"], renumber)
    pack |= _anatomy(pack, head, skin, mpfb2 / "src" / "mpfb" / "data" / "textures")
    part = out.with_name(out.name + ".part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez_compressed(file, **pack)
        part.replace(out)
    except OSError as error:
        raise StorageError(
            f"{out}: cannot write ({error.strerror}); choose another place"
        ) from None
    return out


def _is_head(body: Mesh, face: int) -> bool:
    corners = body.vertices[body.faces[face]]
    return (
        body.groups[face] == "body"
        and float(corners[:, 1].min()) > LOWEST
        and float(np.abs(corners[:, 0]).max()) < WIDEST
    )


def _read_proxies(data: Path, base: Path) -> dict[str, tuple[Mesh, Fitting]]:
    """Read eyes, hair, brows and lashes, by their key in the pack."""
    stems = {"eyes": data / "eyes" / "high-poly" / "high-poly"}
    stems |= {f"hair_{name}": base / "hair" / name / name for name in HAIR}
    stems |= {f"brow_{name}": base / "eyebrows" / name / name for name in BROWS}
    lashes = LASHES.removeprefix("lash_")
    stems[LASHES] = base / "eyelashes" / lashes / lashes
    proxies = {}
    for key, stem in stems.items():
        mesh = read_mesh(stem.with_suffix(".obj"))
        fitting = read_fitting(stem.with_suffix(".mhclo"), len(mesh.vertices))
        if key == "eyes":  # without the transparent cornea, a patch at the corner of the texture
            middles = [mesh.uv[corners].mean(axis=0) for corners in mesh.face_uv]
            mesh = mesh.select([not (u > 0.85 and v < 0.15) for u, v in middles])
        proxies[key] = (mesh, fitting)
    return proxies


def _read_targets(folder: Path, vertices: int, keep: Array) -> tuple[list[str], list[Array]]:
    """Read every morph target that moves the head; return names and offsets (kept, 3)."""
    paths = [
        path
        for path in sorted((folder / "macrodetails").glob("*.target"))
        if not ("universal" in path.name and "baby" in path.name)
        or not ("maxmuscle" in path.name or "minmuscle" in path.name)
    ]
    for detail in DETAILS:
        found = sorted((folder / detail).glob("*.target"))
        if not found:
            raise InputError(f"{folder / detail}: no .target files; use a complete checkout")
        paths += found
    paths = [path for path in paths if not any(part in path.as_posix() for part in UNUSED_TARGETS)]
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in paths]
    return names, [read_target(path, vertices)[keep] for path in paths]


def _sparse(offsets: list[Array]) -> dict[str, Array]:
    """Return the targets one after the other, without the vertices that they do not move."""
    rows = [np.flatnonzero(np.abs(o).max(axis=1) > SMALLEST_OFFSET) for o in offsets]
    return {
        "t_idx": np.concatenate(rows).astype(np.uint16),
        "t_val": np.concatenate([o[moved] for o, moved in zip(offsets, rows, strict=True)]).astype(
            np.float16
        ),
        "t_ptr": np.cumsum([0, *(len(moved) for moved in rows)]).astype(np.int64),
    }


def _canonical(base: Array, targets: dict[str, Array]) -> Array:
    """Return the mean young head: all races and both sexes alike, average weight and muscle."""
    canonical = base.copy()
    try:
        for sex in ("male", "female"):
            for race in RACES:
                canonical += targets[f"macrodetails/{race}-{sex}-young"] / 6
            name = f"macrodetails/universal-{sex}-young-averagemuscle-averageweight"
            canonical += targets[name] / 2
    except KeyError as error:
        raise InputError(f"{error.args[0]}.target is missing; use a complete checkout") from None
    return canonical


def _proxy_arrays(
    key: str, mesh: Mesh, fitting: Fitting, canonical: Array, renumber: Array
) -> dict[str, Array]:
    """Return one proxy's entries of the pack."""
    anchors = renumber[fitting.anchors]
    pairs = np.array([[renumber[a], renumber[b]] for a, b, _ in fitting.scale])
    units = np.array([unit for _, _, unit in fitting.scale], np.float32)
    axes = np.arange(3)
    scale = np.abs(canonical[pairs[:, 0], axes] - canonical[pairs[:, 1], axes]) / units
    rest = (canonical[anchors] * fitting.weights[:, :, None]).sum(axis=1) + fitting.offsets * scale
    arrays: dict[str, Array] = {
        f"{key}_tri": triangulate(mesh.faces).astype(np.uint16),
        f"{key}_ref": anchors.astype(np.uint16),
        f"{key}_w": fitting.weights.astype(np.float16),
        f"{key}_off": fitting.offsets.astype(np.float16),
        f"{key}_sc": np.column_stack([pairs, units]).astype(np.float32),
        f"{key}_rest": rest.astype(np.float32),
        f"{key}_ed": edge_distance(rest, mesh.faces).astype(np.float16),
    }
    if key == "eyes":
        arrays["eyes_uv"] = mesh.uv[triangulate(mesh.face_uv)].astype(np.float16)
    return arrays


def _anatomy(pack: dict[str, Array], head: Mesh, skin: Array, textures: Path) -> dict[str, Array]:
    """Return masks, occlusion, landmarks and wrinkles of the canonical head."""
    canonical = pack["canon"].astype(np.float64)
    eyes = pack["eyes_rest"].astype(np.float64)
    corners = head.uv[triangulate(head.face_uv)].reshape(-1, 2)
    masks = {
        name: _sample(read_mask(textures / f"mpfb_{name}.jpg"), corners, skin, len(canonical))
        for name in ("lips", "ears", "eyelids", "inside-mouth")
    }
    points = landmarks(canonical, skin, eyes, masks["lips"])
    drawn = anatomy_masks(canonical, skin, masks["lips"], masks["ears"], points)
    open_head, open_eyes = ambient_occlusion(
        canonical, skin, eyes, pack["eyes_tri"].astype(np.int32)
    )
    columns = [open_head, masks["lips"], masks["ears"], masks["eyelids"]]
    columns += [drawn[name] for name in ("blush", "nose", "under_eye", "t_zone")]
    columns += [drawn[name] for name in ("beard", "scalp", "cloth")]
    columns.append(masks["inside-mouth"])
    mouth_half_width = float(canonical[masks["lips"] > 0.5][:, 0].max())
    return {
        "attr": np.stack(columns, axis=1).astype(np.float16),
        "aoE": open_eyes.astype(np.float16),
        "wr": groove_map(points, mouth_half_width),
        "lm": np.array(astuple(points), np.float32),
    }


def _sample(mask: Array, uv: Array, skin: Array, vertices: int) -> Array:
    """Return a mask picture's brightness at each vertex (n,), averaged over its corners."""
    last = mask.shape[0] - 1
    column = np.clip(np.round(uv[:, 0] * last).astype(int), 0, last)
    row = np.clip(np.round((1 - uv[:, 1]) * last).astype(int), 0, last)
    total, corners = np.zeros(vertices), np.zeros(vertices)
    np.add.at(total, skin.ravel(), mask[row, column])
    np.add.at(corners, skin.ravel(), 1)
    sampled: Array = total / np.maximum(corners, 1)
    return sampled
