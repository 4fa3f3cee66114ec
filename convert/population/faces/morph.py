"""Shape a head: MakeHuman's factor combination, and the fitting of meshes onto the result.

The formulas are re-implemented from MakeHuman's documented behaviour (apps/human.py); no code is
copied.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .face import Face
from .geometry import Geometry, Proxy
from .jit import kernel

Float32 = npt.NDArray[np.float32]

RACES = ("african", "asian", "caucasian")
SAGGING = 0.4  # of MakeHuman's head-age slider, at the greatest age


def makehuman_age(years: float) -> float:
    """Return MakeHuman's age factor: 0 at 1 year, 0.1875 at 10, 0.5 at 25 and 1 at 90."""
    return float(np.interp(years, (1.0, 10.0, 25.0, 90.0), (0.0, 0.1875, 0.5, 1.0)))


def oldness(age: float) -> float:
    """Return 0 up to 25 years and 1 at 90, from MakeHuman's age factor."""
    return max(0.0, 2.0 * age - 1.0)


def age_weights(age: float) -> dict[str, float]:
    """Return the weights of MakeHuman's four age classes (sum 1) for an age factor."""
    old = oldness(age)
    young = max(0.0, 3.2 * (age - 0.1875)) if age < 0.5 else 1.0 - old
    baby = max(0.0, 1.0 - 5.333 * age)
    child = max(0.0, min(1.0, 5.333 * age) - young) if age < 0.5 else 0.0
    return {"baby": baby, "child": child, "young": young, "old": old}


def level_weights(value: float) -> dict[str, float]:
    """Return the min, average and max weights (sum 1) of a 0..1 slider such as weight."""
    high, low = max(0.0, 2.0 * value - 1.0), max(0.0, 1.0 - 2.0 * value)
    return {"min": low, "average": 1.0 - low - high, "max": high}


def target_weights(face: Face, geometry: Geometry) -> dict[int, float]:
    """Return the weight of every morph target that moves this face, by target number."""
    weights: dict[int, float] = {}

    def add(name: str, weight: float) -> None:
        target = geometry.target_index.get(name)
        if target is not None and abs(weight) > 1e-4:
            weights[target] = weights.get(target, 0.0) + weight

    for gender, of_gender in (("male", face.male), ("female", 1.0 - face.male)):
        for age, of_age in age_weights(face.age).items():
            for race, of_race in zip(RACES, face.race, strict=True):
                add(f"macrodetails/{race}-{gender}-{age}", of_gender * of_age * of_race)
            for muscle, of_muscle in level_weights(face.muscle).items():
                built = "average" if age == "baby" else muscle  # babies have one build only
                for fat, of_fat in level_weights(face.weight).items():
                    add(
                        f"macrodetails/universal-{gender}-{age}-{built}muscle-{fat}weight",
                        of_gender * of_age * of_muscle * of_fat,
                    )
    for slider, value in face.sliders.items():
        for negative, positive in geometry.sliders[slider]:
            target = positive if value > 0 else negative
            weights[target] = weights.get(target, 0.0) + abs(value)
    add("head/head-age-incr", SAGGING * oldness(face.age))
    for name, weight in face.targets.items():
        add(name, weight)
    return weights


def shape_head(face: Face, geometry: Geometry) -> Float32:
    """Return the morphed head vertices (n, 3) in dm."""
    weights = target_weights(face, geometry)
    vertices = geometry.base.copy()
    _blend(
        vertices,
        geometry.target_start,
        geometry.target_vertex,
        geometry.target_offset,
        np.array(list(weights), np.int64),
        np.array(list(weights.values()), np.float32),
    )
    return vertices


@kernel
def _blend(
    vertices: Float32,
    start: npt.NDArray[np.int64],
    vertex: npt.NDArray[np.int32],
    offset: Float32,
    targets: npt.NDArray[np.int64],
    weights: Float32,
) -> None:
    """Add the weighted sparse targets to `vertices` in place."""
    for j in range(len(targets)):
        weight = weights[j]
        for row in range(start[targets[j]], start[targets[j] + 1]):
            i = vertex[row]
            vertices[i, 0] += weight * offset[row, 0]
            vertices[i, 1] += weight * offset[row, 1]
            vertices[i, 2] += weight * offset[row, 2]


def offset_scale(proxy: Proxy, head: Float32) -> Float32:
    """Return how much larger than the base head this one is along x, y, z, where the proxy sits."""
    first, second = proxy.scale_from.T
    axes = np.arange(3)
    size: Float32 = np.abs(head[first, axes] - head[second, axes]) / proxy.scale_unit
    return size


def fit_proxy(proxy: Proxy, head: Float32, scale: Float32 | None = None) -> Float32:
    """Return the proxy's vertices (v, 3) in dm on a morphed head.

    Args:
        proxy: the mesh.
        head: (n, 3) vertices from `shape_head`.
        scale: (3,) of the offsets; MakeHuman's own when None.
    """
    if scale is None:
        scale = offset_scale(proxy, head)
    anchors, weights = proxy.anchors, proxy.weights
    fitted = head[anchors[:, 0]] * weights[:, :1]
    fitted += head[anchors[:, 1]] * weights[:, 1:2]
    fitted += head[anchors[:, 2]] * weights[:, 2:]
    fitted += proxy.offsets * scale
    vertices: Float32 = fitted.astype(np.float32)
    return vertices
