"""Z-buffer rasteriser: which triangle is seen at each sample, and where inside it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .jit import kernel

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
UInt8 = npt.NDArray[np.uint8]


class Samples(NamedTuple):
    """What is seen at each sample of the picture; a NamedTuple so that kernels can take it."""

    depth: Float64  # (h, w), towards the camera is greater; -1e9 where nothing is seen
    triangle: Int32  # (h, w), index of the triangle seen, -1 where nothing is
    bary1: Float32  # (h, w), barycentric weight of the triangle's second corner
    bary2: Float32  # (h, w), and of its third; the first has what is left to 1


def empty_samples(height: int, width: int) -> Samples:
    """Return a sample buffer in which nothing is seen yet."""
    return Samples(
        np.full((height, width), -1e9),
        np.full((height, width), -1, np.int32),
        np.zeros((height, width), np.float32),
        np.zeros((height, width), np.float32),
    )


@kernel
def rasterize(points: Float64, triangles: Int32, first_id: int, samples: Samples) -> None:
    """Draw opaque triangles into `samples`; both sides are drawn.

    Args:
        points: (n, 3) x and y in samples, z depth; a sample's centre lies at +0.5.
        triangles: (t, 3) indices into `points`.
        first_id: what to write for triangle 0; triangle k is written as first_id + k.
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
                if z > samples.depth[y, x]:
                    samples.depth[y, x] = z
                    samples.triangle[y, x] = first_id + t
                    samples.bary1[y, x] = w1
                    samples.bary2[y, x] = w2


@kernel
def vertex_normals(vertices: Float64, triangles: Int32) -> Float64:
    """Return unit normals (n, 3), averaged over a vertex's triangles weighted by their area."""
    normals = np.zeros_like(vertices)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux = vertices[b, 0] - vertices[a, 0]
        uy = vertices[b, 1] - vertices[a, 1]
        uz = vertices[b, 2] - vertices[a, 2]
        vx = vertices[c, 0] - vertices[a, 0]
        vy = vertices[c, 1] - vertices[a, 1]
        vz = vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for i in (a, b, c):
            normals[i, 0] += nx
            normals[i, 1] += ny
            normals[i, 2] += nz
    for i in range(vertices.shape[0]):
        length = math.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2)
        if length > 0.0:
            normals[i] /= length
    return normals


@kernel
def add_shadow(
    points: Float64, depth: Float64, bias: float, weight: float, shadow: Float32
) -> None:
    """Add `weight` times the share of 3 x 3 shadow-map texels that lie in front of each point.

    Args:
        points: (n, 3) in the shadow map's own pixels and depth.
        depth: (h, w) shadow map.
        bias: how far in front a texel must lie to count, in units of depth.
        weight: contribution of this light.
        shadow: (m,) with m >= n, changed in place.
    """
    height, width = depth.shape
    for i in range(points.shape[0]):
        x, y = int(points[i, 0]), int(points[i, 1])
        if 0 < x < width - 1 and 0 < y < height - 1:
            hidden = 0
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    if depth[y + dy, x + dx] > points[i, 2] + bias:
                        hidden += 1
            shadow[i] += weight * hidden / 9.0
