"""Hair: the ten meshes, how each is fitted, and which of its fragments are strands.

MakeHuman's hair textures are not used. Instead a fragment is kept where it lies far enough from
the mesh's open edge, measured against strand noise that runs around a pole (the crown of long
hair, the whorl of short hair, the root of a tail): edges fray into strands in the right direction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .face import FaceWindow, Hair
from .geometry import Geometry, Proxy
from .jit import kernel
from .morph import fit_proxy, offset_scale
from .noise import hash01, noise1, noise3, smoothstep
from .raster import Float32, Float64, Int32, Samples

STRANDS, CURLS, BROW, LASH = 0, 1, 2, 3  # kinds of fragment test

_UP = (0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Style:
    """What a hair style needs beside its mesh; numbers tuned by eye."""

    scalp: float = 0.97  # how densely the scalp is painted, hides gaps between mesh and skin
    pole: tuple[float, float, float] = (0.0, 7.7, -0.45)  # dm on the canonical head
    axis: tuple[float, float, float] = (0.0, 0.25, -1.0)  # strands run away from the pole along it
    fray: float = 0.2  # dm, width of the frayed edge
    height: float = 1.0  # vertical scale of the mesh's offsets, cures pointed crowns
    over_crown: float = 0.45  # how much of what rises above the skull is kept
    curly: bool = False


STYLES: Mapping[str, Style] = {
    "bald": Style(scalp=0.10),
    "buzz": Style(scalp=0.78),
    "afro01": Style(pole=(0.0, 7.6, 0.2), axis=_UP, fray=0.35, over_crown=0.9, curly=True),
    "bob01": Style(pole=(0.15, 8.3, 0.55), axis=_UP, height=0.85),
    "bob02": Style(pole=(0.12, 8.3, 0.5), axis=_UP, height=0.8),
    "braid01": Style(pole=(0.3, 7.0, -0.4), axis=(0.3, -0.1, -1.0), fray=0.14, height=0.85),
    "long01": Style(pole=(0.0, 8.3, 0.6), axis=_UP, height=0.75),
    "ponytail01": Style(pole=(0.0, 7.6, -0.5), axis=(0.0, 0.1, -1.0), fray=0.14),
    "short01": Style(pole=(0.0, 8.0, -0.25), axis=(0.0, 0.6, -0.8), fray=0.22),
    "short02": Style(pole=(0.0, 8.0, -0.25), axis=(0.0, 0.6, -0.8), fray=0.25, height=0.7),
    "short03": Style(pole=(0.25, 8.3, 0.6), axis=(0.1, 1.0, 0.0), fray=0.22),
    "short04": Style(),
}


class StrandFrame(NamedTuple):
    """Frame in which strands are meridians: the angle around `origin` in the plane (u, v)."""

    origin: Float64  # (3,) dm
    u: Float64  # (3,)
    v: Float64  # (3,)


def strand_frame(style: Style) -> StrandFrame:
    """Return the frame of a style's pole."""
    axis = np.array(style.axis) / np.linalg.norm(style.axis)
    u = np.cross(axis, [1.0, 0.01, 0.02])
    u /= np.linalg.norm(u)
    return StrandFrame(np.array(style.pole), u, np.cross(axis, u))


def fit_hair(hair: Hair, mesh: Proxy, head: Float32, geometry: Geometry) -> Float32:
    """Return the hair's vertices (v, 3) in dm on a morphed head."""
    style = STYLES[hair.style]
    scale = np.minimum(offset_scale(mesh, head), 1.12) * np.float32(hair.volume)
    scale[1] *= style.height
    fitted = fit_proxy(mesh, head, scale)
    crown = head[geometry.crown, 1] + 0.02
    above = fitted[:, 1] > crown
    fitted[above, 1] = crown + (fitted[above, 1] - crown) * style.over_crown
    return fitted


def shadow_casters(hair: Hair, mesh: Proxy) -> Int32:
    """Return the triangles (t, 3) solid enough to shade the skin: no frayed edge, no fringe."""
    triangles: Int32 = mesh.triangles[mesh.edge[mesh.triangles].max(axis=1) > 0.08]
    if STYLES[hair.style].curly:
        return triangles
    window, center = hair.window, mesh.rest[triangles].mean(axis=1)
    x = (center[:, 0] - window.center_x) / window.radius_x
    y = (center[:, 1] + window.tilt * center[:, 0] - window.center_y) / window.radius_y
    fringe = (center[:, 2] > window.front_z) & (x**2 + y**2 < 1.15)
    solid: Int32 = triangles[~fringe]
    return solid


@kernel
def strand_angle(frame: StrandFrame, x: float, y: float, z: float) -> float:
    """Return the angle around the pole, radians."""
    dx, dy, dz = x - frame.origin[0], y - frame.origin[1], z - frame.origin[2]
    return math.atan2(
        dx * frame.v[0] + dy * frame.v[1] + dz * frame.v[2],
        dx * frame.u[0] + dy * frame.u[1] + dz * frame.u[2],
    )


@kernel
def _strand_shows(
    x: float,
    y: float,
    z: float,
    edge: float,
    fray: float,
    seed: int,
    window: FaceWindow,
    frame: StrandFrame,
    lattice: Float32,
) -> bool:
    """Tell whether straight hair covers this place of the mesh."""
    angle = strand_angle(frame, x, y, z)
    grain = 0.40 * noise1(angle * 22 + 3 * noise3(lattice, x * 2, y * 2, z * 2), seed)
    grain += 0.60 * noise1(angle * 110 + 1.2 * noise3(lattice, x * 5, y * 5, z * 5), seed + 1)
    if edge <= fray * grain * 1.1 or y <= window.cut_y + 0.22 * grain:
        return False
    if z <= window.front_z:
        return True
    ex = (x - window.center_x) / window.radius_x
    ey = (y + window.tilt * x - window.center_y) / window.radius_y
    return ex * ex * (1 + 0.25 * ey * ey) + ey * ey > 0.84 + 0.32 * grain


@kernel
def _curl_shows(
    x: float, y: float, z: float, edge: float, fray: float, normal_z: float, lattice: Float32
) -> bool:
    """Tell whether curly hair covers this place: clumps, and a ragged silhouette."""
    grain = 0.5 * noise3(lattice, x * 9, y * 9, z * 9)
    grain += 0.5 * noise3(lattice, x * 22, y * 22, z * 22)
    return edge > fray * (0.25 + grain) * 0.8 and abs(normal_z) + 0.15 > grain * 0.6


@kernel
def _brow_shows(
    x: float,
    y: float,
    z: float,
    edge: float,
    density: float,
    sample: int,
    seed: int,
    lattice: Float32,
) -> bool:
    """Tell whether an eyebrow hair covers this sample; hashed, so smooth after supersampling."""
    side = 1.0 if x > 0 else -1.0
    along = side * x - y * 1.3
    grain = 0.30 * noise1(along * 70 + 3 * noise3(lattice, x * 8, y * 8, z * 8), seed)
    grain += 0.20 * noise1(along * 170, seed + 3) + 0.50 * hash01(sample)
    alpha = smoothstep(-0.010, 0.016, edge) * density
    alpha *= 1 - 0.25 * smoothstep(0.36, 0.52, abs(x))
    alpha *= 0.55 + 0.45 * smoothstep(0.08, 0.16, abs(x))
    return alpha > grain * 1.05


@kernel
def rasterize_hair(
    points: Float64,
    normals: Float64,
    rest: Float32,
    edge: Float32,
    density: Float32,
    triangles: Int32,
    first_id: int,
    kind: int,
    fray: float,
    seed: int,
    window: FaceWindow,
    frame: StrandFrame,
    lattice: Float32,
    samples: Samples,
) -> None:
    """Draw the triangles of one hairy mesh into `samples`, keeping the fragments that are hair.

    Args:
        points: (n, 3) x and y in samples, z depth.
        normals: (n, 3) towards the camera is +z.
        rest: (n, 3) place on the canonical head, dm.
        edge: (n,) distance to the mesh's open edge in dm; of lashes, 0 root .. 1 tip.
        density: (n,) of brows and lashes, 0..1.
        triangles: (t, 3) indices into the arrays above.
        first_id: what to write for triangle 0.
        kind: STRANDS, CURLS, BROW or LASH.
        fray: width of the frayed edge, dm.
        seed: of the strand noise.
        window: where hair may not hang.
        frame: strand direction.
        lattice: noise lattice.
        samples: changed in place.
    """
    height, width = samples.depth.shape
    for t in range(triangles.shape[0]):
        i0, i1, i2 = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, z0 = points[i0, 0], points[i0, 1], points[i0, 2]
        ax, ay, az = points[i1, 0] - x0, points[i1, 1] - y0, points[i1, 2] - z0
        bx, by, bz = points[i2, 0] - x0, points[i2, 1] - y0, points[i2, 2] - z0
        area = ax * by - bx * ay
        if area == 0.0:
            continue
        left = max(0, math.ceil(x0 + min(0.0, ax, bx) - 0.5))
        right = min(width - 1, math.floor(x0 + max(0.0, ax, bx) - 0.5))
        top = max(0, math.ceil(y0 + min(0.0, ay, by) - 0.5))
        bottom = min(height - 1, math.floor(y0 + max(0.0, ay, by) - 0.5))
        inverse = 1.0 / area
        for y in range(top, bottom + 1):
            dy = y + 0.5 - y0
            for x in range(left, right + 1):
                dx = x + 0.5 - x0
                w1 = (dx * by - bx * dy) * inverse
                w2 = (ax * dy - dx * ay) * inverse
                if w1 < -1e-6 or w2 < -1e-6 or w1 + w2 > 1.000001:
                    continue
                z = z0 + az * w1 + bz * w2
                if z <= samples.depth[y, x]:
                    continue
                w0 = 1.0 - w1 - w2
                from_edge = edge[i0] * w0 + edge[i1] * w1 + edge[i2] * w2
                rx = rest[i0, 0] * w0 + rest[i1, 0] * w1 + rest[i2, 0] * w2
                ry = rest[i0, 1] * w0 + rest[i1, 1] * w1 + rest[i2, 1] * w2
                rz = rest[i0, 2] * w0 + rest[i1, 2] * w1 + rest[i2, 2] * w2
                sample = x * 7919 + y * 104729 + seed
                if kind == STRANDS:
                    shows = _strand_shows(rx, ry, rz, from_edge, fray, seed, window, frame, lattice)
                elif kind == CURLS:
                    nz = normals[i0, 2] * w0 + normals[i1, 2] * w1 + normals[i2, 2] * w2
                    shows = _curl_shows(rx, ry, rz, from_edge, fray, nz, lattice)
                elif kind == BROW:
                    shows = _brow_shows(rx, ry, rz, from_edge, density[i0], sample, seed, lattice)
                else:
                    grain = 0.25 * noise1(rx * 260, seed) + 0.75 * hash01(sample)
                    shows = (1 - from_edge) * density[i0] > grain
                if shows:
                    samples.depth[y, x] = z
                    samples.triangle[y, x] = first_id + t
                    samples.bary1[y, x] = w1
                    samples.bary2[y, x] = w2
