"""Where the landmarks of a face are: known from its mesh, and what is measured between them.

The landmarks are Farkas's (Anthropometry of the Head and Face, 1994), found on the canonical head
by eye; each is a vertex, so that it moves with the anatomy. The measurements are those of
Speech2Face's table 2, on the canonical portrait, where the eyes and crown-chin are fixed.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..metrics import Float64
from ..population.law import Person

if TYPE_CHECKING:  # drawing faces needs Numba, measuring them does not
    from ..population.faces.face import Face
    from ..population.faces.geometry import Geometry

SIDE = 128  # pixels of a portrait
MIDDLE: Mapping[str, tuple[float, float, float]] = {  # dm on the canonical head
    "n": (0.0, 7.359, 1.413),  # nasion, root of the nose
    "sn": (0.0, 6.874, 1.493),  # subnasale
    "ls": (0.0, 6.778, 1.535),  # labiale superius
    "sto": (0.0, 6.695, 1.469),  # stomion, where the lips meet
    "li": (0.0, 6.567, 1.482),  # labiale inferius
    "gn": (0.0, 6.272, 1.274),  # gnathion, the chin
}
SIDES: Mapping[str, tuple[float, float, float]] = {  # the left one; the right one mirrors it
    "al": (0.156, 6.935, 1.427),  # alare, the nose's wing
    "sbal": (0.093, 6.885, 1.459),  # subalare
    "cph": (0.078, 6.783, 1.517),  # crista philtri, on the upper lip's edge
    "ch": (0.221, 6.682, 1.391),  # cheilion, corner of the mouth
    "en": (0.160, 7.323, 1.318),  # endocanthion, inner corner of the eye
    "ex": (0.422, 7.340, 1.266),  # exocanthion
    "zy": (0.657, 7.107, 0.734),  # zygion, the cheekbone
    "go": (0.562, 6.651, 0.770),  # gonion, the jaw's angle
}
NAMES = (*MIDDLE, *(f"{name} {side}" for name in SIDES for side in ("left", "right")))

Points = Float64  # (n, len(NAMES), 2) pixels, x to the right, y down


@functools.lru_cache(maxsize=2)
def landmark_vertices(path: Path) -> tuple[int, ...]:
    """Return the head vertex of each landmark, in the order of `NAMES`.

    Raises:
        InputError: there is no head geometry at `path`.
    """
    from ..population.faces.geometry import load_geometry

    geometry = load_geometry(path)
    skin = np.unique(geometry.skin_triangles)

    def nearest(place: tuple[float, float, float]) -> int:
        away = np.linalg.norm(geometry.canonical[skin] - np.array(place), axis=1)
        return int(skin[away.argmin()])

    sides = [nearest((s * x, y, z)) for x, y, z in SIDES.values() for s in (1, -1)]
    return (*(nearest(place) for place in MIDDLE.values()), *sides)


def landmarks_of(face: Face, geometry: Geometry, vertices: tuple[int, ...]) -> Float64:
    """Return where a face's landmarks fall in its canonical portrait, (len(NAMES), 2) pixels."""
    from ..population.faces.morph import fit_proxy, shape_head
    from ..population.faces.view import CANONICAL, project

    head = shape_head(face, geometry)
    eyes = fit_proxy(geometry.eyes, head).mean(axis=0).astype(np.float64)
    height = float(head[geometry.crown, 1] - head[geometry.chin, 1])
    points = project(head[list(vertices)].astype(np.float64), eyes, height, CANONICAL, SIDE)
    return points[:, :2]


def true_landmarks(task: tuple[Person, Path]) -> Float64:
    """Return the landmarks of a person's own face, (len(NAMES), 2) pixels."""
    from ..population.faces.appearance import draw_face
    from ..population.faces.geometry import load_geometry

    person, path = task
    geometry = load_geometry(path)
    return landmarks_of(draw_face(person, geometry), geometry, landmark_vertices(path))


def typical_landmarks(task: tuple[float, float, float, Path]) -> Float64:
    """Return the landmarks of the typical face of (female, years, size)."""
    from ..population.faces.appearance import typical_face
    from ..population.faces.geometry import load_geometry

    female, years, size, path = task
    geometry = load_geometry(path)
    face = typical_face(female, years, size)
    return landmarks_of(face, geometry, landmark_vertices(path))


def measure(points: Points) -> dict[str, Float64]:
    """Return the twelve measurements of Speech2Face, (n,) each: pixels, pixels squared, ratios."""
    at = {name: points[:, i] for i, name in enumerate(NAMES)}

    def between(a: str, b: str) -> Float64:
        return np.asarray(np.linalg.norm(at[a] - at[b], axis=1))

    def across(name: str) -> Float64:
        return between(f"{name} left", f"{name} right")

    def area(*corners: str) -> Float64:
        x, y = np.stack([at[c] for c in corners], axis=1).transpose(2, 0, 1)
        return np.asarray(0.5 * np.abs((x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(axis=1)))

    lateral = 0.5 * (between("sbal left", "cph left") + between("sbal right", "cph right"))
    return {
        "upper lip height": between("sn", "sto"),
        "lateral upper lip heights": lateral,
        "jaw width": across("go"),
        "nose height": between("n", "sn"),
        "nose width": across("al"),
        "labio-oral region": area("ch left", "ls", "ch right", "li"),
        "mandibular index": between("sto", "gn") / across("go"),
        "intercanthal index": across("en") / across("ex"),
        "nasal index": across("al") / between("n", "sn"),
        "vermilion height index": between("ls", "sto") / between("sto", "li").clip(1e-6),
        "mouth-face width index": across("ch") / across("zy"),
        "nose area": area("n", "al left", "al right"),
    }


PUBLISHED: Mapping[str, float] = {  # Pearson's r of Speech2Face, table 2, on real people
    "upper lip height": 0.16,
    "lateral upper lip heights": 0.26,
    "jaw width": 0.11,
    "nose height": 0.14,
    "nose width": 0.35,
    "labio-oral region": 0.17,
    "mandibular index": 0.20,
    "intercanthal index": 0.21,
    "nasal index": 0.38,
    "vermilion height index": 0.29,
    "mouth-face width index": 0.20,
    "nose area": 0.28,
}
