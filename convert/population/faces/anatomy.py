"""Anatomy of the canonical head, computed once per pack: masks, occlusion, landmarks, grooves.

Everything is a function of the canonical head's coordinates (dm), tuned by eye on it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .geometry import Landmarks
from .raster import empty_samples, rasterize, vertex_normals

Array = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]

OCCLUSION_DIRECTIONS = 128
OCCLUSION_MAP = 640  # pixels for 5 dm


def landmarks(canonical: Array, skin: Int32, eyes: Array, lips: Array) -> Landmarks:
    """Return where the left eye, the mouth and the tip of the nose lie."""
    eye = eyes[eyes[:, 0] > 0].mean(axis=0)
    mouth = canonical[lips > 0.5].mean(axis=0)
    on_skin = np.zeros(len(canonical), bool)
    on_skin[np.unique(skin)] = True
    middle = canonical[on_skin & (np.abs(canonical[:, 0]) < 0.06) & (canonical[:, 2] > 0.8)]
    nose = middle[np.argmax(middle[:, 2])]
    return Landmarks(*(float(v) for v in (*eye, *mouth[1:], *nose[1:])))


def anatomy_masks(
    canonical: Array, skin: Int32, lips: Array, ears: Array, points: Landmarks
) -> dict[str, Array]:
    """Return per-vertex masks (n,): blush, nose, under_eye, t_zone, beard, scalp, cloth.

    Scalp and cloth are signed distances in dm, clipped to +-0.5; the others are 0..1.

    Args:
        canonical: (n, 3) vertices.
        skin: (t, 3) triangles.
        lips: (n,) mask.
        ears: (n,) mask.
        points: from `landmarks`.
    """
    eye_x, eye_y, mouth_y, nose_y = points.eye_x, points.eye_y, points.mouth_y, points.nose_y
    x, y, z = canonical.T
    side = np.abs(x)
    normals = vertex_normals(canonical, skin)
    unit = eye_y - mouth_y
    front = _ramp(0.0, 0.45, normals[:, 2])
    chin_y = mouth_y - 0.45 * unit
    blush = (
        _spot(side - eye_x * 1.35, y - (eye_y - 0.55 * unit), 0.22, 0.20)
        + 0.9 * _spot(side, y - nose_y, 0.13, 0.12)
        + 0.35 * _spot(side, y - chin_y, 0.16, 0.12)
    ) * front
    nose = _spot(side, y - (nose_y + 0.02), 0.17, 0.16)
    under_eye = (
        _spot(side - eye_x, y - (eye_y - 0.17), 0.20, 0.075)
        + 0.5 * _spot(side - eye_x * 0.62, y - (eye_y - 0.03), 0.07, 0.09)
    ) * front
    t_zone = (
        _spot(side, y - (eye_y + 0.55), 0.35, 0.25)
        + _spot(side, y - (eye_y - 0.25), 0.10, 0.35)
        + 0.5 * _spot(side, y - chin_y, 0.15, 0.12)
    ) * front
    ear = canonical[(ears > 0.5) & (x > 0)]
    ear_front, ear_middle = float(ear[:, 2].max()), float(ear[:, 2].mean())
    ear_low, ear_high = float(ear[:, 1].min()), float(ear[:, 1].max())
    beard = _beard(canonical, lips, ears, points, ear_front, ear_low, ear_high)
    # the scalp starts at the forehead's hairline, runs down the temples to the ear, to the nape
    hairline, hairline_z = eye_y + 0.80, 1.18
    along = np.clip((hairline_z - z) / (hairline_z - (ear_front + 0.06)), 0, 1)
    line = hairline - 0.02 + (ear_high - 0.05 - hairline) * along**1.15
    nape = ear_low - 0.25 - 0.25 * _ramp(ear_middle, ear_middle - 0.6, z)
    back = _ramp(ear_front + 0.04, ear_front - 0.12, z)
    line = line * (1 - back) + nape * back
    scalp = (y - line) * (1 - _ramp(0.2, 0.6, ears)) - (ears > 0.3) * 0.2
    # a crew-neck collar: a plane tilted towards the front
    collar = mouth_y - 1.02 * unit * 1.25
    cloth = (y - (collar - 0.12)) - 0.42 * (1.0 - z) - 0.25 * np.maximum(side - 0.45, 0)
    return {
        "blush": blush,
        "nose": nose * front,
        "under_eye": under_eye,
        "t_zone": t_zone,
        "beard": beard,
        "scalp": np.clip(scalp, -0.5, 0.5),
        "cloth": np.clip(-cloth, -0.5, 0.5),
    }


def _beard(
    canonical: Array,
    lips: Array,
    ears: Array,
    points: Landmarks,
    ear_front: float,
    ear_low: float,
    ear_high: float,
) -> Array:
    """Return where a beard grows: below the ear-to-lip line, moustache and sideburns."""
    mouth_y, mouth_z, nose_y = points.mouth_y, points.mouth_z, points.nose_y
    x, y, z = canonical.T
    side = np.abs(x)
    forward = np.clip((z - ear_front) / (mouth_z - ear_front), 0, 1)  # 0 at the ear, 1 at the mouth
    top = (ear_low + 0.12) + (mouth_y - 0.10 - (ear_low + 0.12)) * _ramp(0.0, 0.75, forward)
    jaw = _ramp(0.10, -0.10, y - top) * _ramp(mouth_y - 0.95, mouth_y - 0.50, y)
    jaw = jaw * _ramp(ear_front - 0.05, ear_front + 0.08, z)
    moustache = np.exp(-((np.maximum(side - 0.12, 0) / 0.16) ** 2))
    moustache = moustache * _ramp(mouth_y - 0.12, mouth_y + 0.02, y)
    moustache = moustache * _ramp(nose_y - 0.06, nose_y - 0.14, y)
    moustache = moustache * _ramp(mouth_z - 0.35, mouth_z - 0.2, z)
    sideburns = _ramp(ear_low, ear_low + 0.1, y) * _ramp(ear_high + 0.1, ear_high - 0.1, y)
    sideburns = sideburns * np.exp(-(((z - ear_front - 0.03) / 0.10) ** 2)) * (ears < 0.3)
    beard = np.clip(np.maximum(np.maximum(jaw, moustache), sideburns * 0.8), 0, 1)
    beard = beard * (1 - np.clip(lips * 1.5, 0, 1))
    bare: Array = beard * (1 - 0.55 * _spot(side, y - (mouth_y - 0.20), 0.10, 0.05))
    return bare


def ambient_occlusion(
    canonical: Array, skin: Int32, eyes: Array, eye_triangles: Int32
) -> tuple[Array, Array]:
    """Return how open to the sky each head vertex (n,) and eye vertex (v,) is, 0..1.

    Cosine-weighted visibility over 128 directions of a Fibonacci sphere (those from below are
    left out), by depth maps; the head's is half smoothed along the mesh.
    """
    count = len(canonical)
    vertices = np.concatenate([canonical, eyes]).astype(np.float64)
    triangles = np.concatenate([skin, eye_triangles + count]).astype(np.int32)
    normals = np.concatenate(
        [
            vertex_normals(canonical.astype(np.float64), skin),
            vertex_normals(eyes.astype(np.float64), eye_triangles),
        ]
    )
    index = np.arange(OCCLUSION_DIRECTIONS) + 0.5
    turn, height = index * np.pi * (3 - 5**0.5), 1 - 2 * index / OCCLUSION_DIRECTIONS
    radius = np.sqrt(1 - height**2)
    open_sum, total = np.zeros(len(vertices)), np.zeros(len(vertices))
    side = OCCLUSION_MAP
    for direction in np.stack([radius * np.cos(turn), radius * np.sin(turn), height], axis=1):
        if direction[1] < -0.75:
            continue
        up = np.array([0.0, 1.0, 0.0] if abs(direction[1]) < 0.9 else [1.0, 0.0, 0.0])
        right = np.cross(up, direction)
        right /= np.linalg.norm(right)
        down = -np.cross(direction, right)
        axes = np.stack([right * side / 5, down * side / 5, direction])
        points = (vertices - np.array([0.0, 7.2, 0.4])) @ axes.T + np.array([side / 2, side / 2, 0])
        seen = empty_samples(side, side)
        rasterize(points, triangles, 0, seen)
        column = np.clip(points[:, 0].astype(int), 0, side - 1)
        row = np.clip(points[:, 1].astype(int), 0, side - 1)
        cosine = np.maximum(normals @ direction, 0)
        open_sum += cosine * (points[:, 2] > seen.depth[row, column] - 0.03)
        total += cosine
    openness = np.clip(open_sum / np.maximum(total, 1e-6), 0, 1)
    head = openness[:count]
    around, neighbours = np.zeros(count), np.zeros(count)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        for here, there in ((a, b), (b, a)):
            np.add.at(around, skin[:, here], head[skin[:, there]])
            np.add.at(neighbours, skin[:, here], 1)
    return 0.5 * head + 0.5 * around / np.maximum(neighbours, 1), openness[count:]


def _ramp(low: float, high: float, t: Array) -> Array:
    q = np.clip((t - low) / (high - low), 0, 1)
    return q * q * (3 - 2 * q)


def _spot(dx: Array, dy: Array, width: float, height: float) -> Array:
    spot: Array = np.exp(-((dx / width) ** 2) - (dy / height) ** 2)
    return spot
