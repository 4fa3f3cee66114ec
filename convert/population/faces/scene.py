"""Put one face's meshes together: skin, eyes, brows, lashes, hair, in one set of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .face import Face
from .geometry import Geometry
from .hair import fit_hair, shadow_casters
from .morph import fit_proxy, shape_head
from .raster import Float32, Float64, Int32, add_shadow, empty_samples, rasterize
from .view import SHADOW_MAP, shadow_map_points, unit

PARTS = ("skin", "eyes", "brows", "lashes", "hair")
LASH_LOWER = 0.3  # density of the lower lashes, share of the upper ones'
SKY = (  # directions from which hair shades the skin
    (-0.3, 0.6, 0.75),
    (0.3, 0.6, 0.75),
    (-0.6, 0.2, 0.75),
    (0.6, 0.2, 0.75),
    (0.0, 0.9, 0.3),
)
SHADOW_BIAS = 0.04  # dm


@dataclass(frozen=True, slots=True)
class Scene:
    """One face's geometry in head space; parts lie one after the other, in the order of PARTS."""

    vertices: Float64  # (n, 3) dm
    triangles: Int32  # (t, 3)
    rest: Float32  # (n, 3) place on the canonical head, dm
    edge: Float32  # (n,) dm to the mesh's open edge; of lashes 0 root .. 1 tip; else 0
    density: Float32  # (n,) of brows and lashes, 0..1; else 0
    vertex_start: tuple[int, ...]  # first vertex of each part, and the end
    triangle_start: tuple[int, ...]  # first triangle of each part, and the end
    eyes: Float64  # (3,) middle between the eyes, dm
    head_height: float  # crown to chin, dm

    def vertices_of(self, part: str) -> slice:
        """Return where a part's vertices lie."""
        k = PARTS.index(part)
        return slice(self.vertex_start[k], self.vertex_start[k + 1])

    def triangles_of(self, part: str) -> slice:
        """Return where a part's triangles lie."""
        k = PARTS.index(part)
        return slice(self.triangle_start[k], self.triangle_start[k + 1])


def assemble(face: Face, geometry: Geometry) -> Scene:
    """Shape the head and hang everything on it."""
    head = shape_head(face, geometry)
    brow, hair = geometry.brows[face.brows.style], geometry.hair.get(face.hair.style)
    eyes = fit_proxy(geometry.eyes, head)
    brows = fit_proxy(brow, head)
    # MakeHuman's brows frown: lift their inner ends
    brows[:, 1] += 0.045 * (1 - np.clip((np.abs(brows[:, 0]) - 0.06) / 0.34, 0, 1))
    vertices = [head, eyes, brows, fit_proxy(geometry.lashes, head)]
    triangles = [geometry.skin_triangles, *(p.triangles for p in (geometry.eyes, brow))]
    triangles.append(geometry.lashes.triangles)
    rest = [geometry.canonical, geometry.eyes.rest, brow.rest, geometry.lashes.rest]
    if hair is not None:
        vertices.append(fit_hair(face.hair, hair, head, geometry))
        triangles.append(hair.triangles)
        rest.append(hair.rest)
    vertex_start = _starts(vertices)
    edge = np.zeros(vertex_start[-1], np.float32)
    edge[vertex_start[2] : vertex_start[3]] = brow.edge
    edge[vertex_start[3] : vertex_start[4]] = geometry.lash_tip
    if hair is not None:
        edge[vertex_start[4] :] = hair.edge
    density = np.zeros(vertex_start[-1], np.float32)
    density[vertex_start[2] : vertex_start[3]] = face.brows.density
    density[vertex_start[3] : vertex_start[4]] = face.lash_density * np.where(
        geometry.lash_upper, 1.0, LASH_LOWER
    )
    return Scene(
        vertices=np.concatenate(vertices).astype(np.float64),
        triangles=np.concatenate(
            [t + start for t, start in zip(triangles, vertex_start, strict=False)]
        ).astype(np.int32),
        rest=np.concatenate(rest),
        edge=edge,
        density=density,
        vertex_start=vertex_start,
        triangle_start=_starts(triangles),
        eyes=eyes.mean(axis=0).astype(np.float64),
        head_height=float(head[geometry.crown, 1] - head[geometry.chin, 1]),
    )


def _starts(arrays: list[Float32] | list[Int32]) -> tuple[int, ...]:
    """Return where each array starts when all are concatenated, and the end; always six numbers."""
    ends = np.cumsum([0, *(len(a) for a in arrays)]).tolist()
    return tuple(ends + ends[-1:] * (len(PARTS) + 1 - len(ends)))


def hair_shadow(scene: Scene, face: Face, geometry: Geometry) -> Float32:
    """Return how much of the sky hair hides from each skin and eye vertex, 0..1."""
    receivers = slice(0, scene.vertex_start[2])
    shadow = np.zeros(scene.vertex_start[2], np.float32)
    mesh = geometry.hair.get(face.hair.style)
    if mesh is None:
        return shadow
    casters = shadow_casters(face.hair, mesh)
    for direction in SKY:
        points = shadow_map_points(scene.vertices, scene.eyes, unit(direction))
        seen = empty_samples(SHADOW_MAP, SHADOW_MAP)
        rasterize(points[scene.vertices_of("hair")], casters, 0, seen)
        add_shadow(points[receivers], seen.depth, SHADOW_BIAS, 1 / len(SKY), shadow)
    return shadow
