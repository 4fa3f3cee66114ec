"""The wrinkle map: where age draws lines on the canonical face, seen from the front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .geometry import Landmarks

Array = npt.NDArray[np.float64]

COLUMNS, ROWS = 512, 870  # of x -1..1 dm, and of y from 1.2 above the eyes to 2.2 below
DM_PER_ROW = 3.4 / (ROWS - 1)


def groove_map(points: Landmarks, mouth_half_width: float) -> npt.NDArray[np.uint8]:
    """Return depths (870, 512, 4) uint8: forehead, crow's feet, mouth folds, eye bags and neck.

    Args:
        points: from `anatomy.landmarks`.
        mouth_half_width: largest x of the lips, dm.
    """
    eye_x, eye_y, mouth_y, nose_y = points.eye_x, points.eye_y, points.mouth_y, points.nose_y
    x, y = np.meshgrid(np.linspace(-1, 1, COLUMNS), np.linspace(eye_y + 1.2, eye_y - 2.2, ROWS))
    side = np.abs(x)

    def line(
        xs: Sequence[float], ys: Sequence[float], width: float, fade: float = 0.15
    ) -> npt.NDArray[np.float64]:
        """Draw a smooth line through a few points, Gaussian across, fading towards its ends."""
        t, fine = np.linspace(0, 1, len(xs)), np.linspace(0, 1, 60)
        path_x, path_y = (np.polyval(np.polyfit(t, p, len(p) - 1), fine) for p in (xs, ys))
        depth = np.clip(np.minimum(fine, 1 - fine) / fade, 0, 1)
        drawn = np.zeros(x.shape)
        for px, py, d in zip(path_x, path_y, depth, strict=True):
            middle, reach = (eye_y + 1.2 - py) / DM_PER_ROW, 4 * width / DM_PER_ROW
            rows = slice(max(0, int(middle - reach)), max(0, int(middle + reach) + 2))
            near = np.exp(-((side[rows] - px) ** 2 + (y[rows] - py) ** 2) / width**2)
            drawn[rows] = np.maximum(drawn[rows], d * near)
        return drawn

    forehead = np.zeros(x.shape)
    for k in range(5):
        row = eye_y + 0.42 + 0.105 * k - 0.05 * np.cos(side * 5) + 0.012 * np.sin(x * 23 + k * 2)
        across = np.exp(-((np.maximum(side - 0.33 + 0.03 * k, 0) / 0.10) ** 2))
        forehead += 0.8 * np.exp(-(((y - row) / 0.016) ** 2)) * across
    forehead += line((0.07, 0.055, 0.06), (eye_y + 0.30, eye_y + 0.22, eye_y + 0.14), 0.016)

    crows_feet = np.zeros(x.shape)
    corner = eye_x + 0.175
    for angle in (-0.55, -0.15, 0.2, 0.55):
        xs = (corner, corner + 0.10 * np.cos(angle), corner + 0.19 * np.cos(angle * 1.2))
        ys = (eye_y, eye_y + 0.10 * np.sin(angle), eye_y + 0.19 * np.sin(angle * 1.2))
        crows_feet = np.maximum(crows_feet, line(xs, ys, 0.013, fade=0.35))

    m = mouth_half_width
    nasolabial = line(
        (0.13, 0.21, 0.27, m + 0.085),
        (nose_y + 0.06, nose_y - 0.03, (nose_y + mouth_y) / 2 - 0.03, mouth_y),
        0.028,
        fade=0.3,
    )
    marionette = line(
        (m + 0.02, m + 0.05, m + 0.06),
        (mouth_y - 0.03, mouth_y - 0.14, mouth_y - 0.26),
        0.022,
        fade=0.4,
    )
    mouth = np.maximum(nasolabial, 0.7 * marionette)

    bag = line(
        (eye_x - 0.13, eye_x - 0.02, eye_x + 0.12),
        (eye_y - 0.10, eye_y - 0.185, eye_y - 0.14),
        0.020,
        fade=0.35,
    )
    fold = line(
        (eye_x - 0.12, eye_x, eye_x + 0.15),
        (eye_y - 0.17, eye_y - 0.27, eye_y - 0.21),
        0.024,
        fade=0.4,
    )
    eye_bags = np.maximum(bag, 0.6 * fold)
    for k in range(3):  # rings of the neck
        ring = mouth_y - 0.98 - 0.16 * k + 0.05 * np.cos(side * 3)
        eye_bags += 0.7 * np.exp(-(((y - ring) / 0.022) ** 2)) * np.exp(-((side / 0.4) ** 2))

    depths = np.stack([forehead, crows_feet, mouth, eye_bags], axis=-1)
    codes: npt.NDArray[np.uint8] = (np.clip(depths.astype(np.float32), 0, 1) * 255).astype(np.uint8)
    return codes
