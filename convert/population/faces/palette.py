"""Colours of hair, eyes and shirts, linear RGB; tuned by eye."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .face import Rgb

Floats = npt.NDArray[np.float64]

HAIR_COLORS: dict[str, Rgb] = {  # linear
    "black": (0.011, 0.009, 0.008),
    "dark brown": (0.030, 0.018, 0.011),
    "brown": (0.075, 0.042, 0.024),
    "light brown": (0.15, 0.09, 0.05),
    "blond": (0.36, 0.25, 0.13),
    "red": (0.22, 0.075, 0.028),
}
GRAY_HAIR: Rgb = (0.46, 0.45, 0.44)
IRIS_COLORS: dict[str, Rgb] = {
    "blue": (0.16, 0.30, 0.48),
    "green": (0.20, 0.27, 0.13),
    "gray": (0.28, 0.33, 0.36),
    "hazel": (0.26, 0.17, 0.06),
    "brown": (0.13, 0.06, 0.025),
    "dark": (0.05, 0.024, 0.013),
}
SHIRTS: tuple[Rgb, ...] = (
    (0.08, 0.09, 0.12),
    (0.30, 0.30, 0.31),
    (0.12, 0.18, 0.28),
    (0.25, 0.09, 0.08),
    (0.10, 0.17, 0.11),
    (0.42, 0.40, 0.35),
)
HAIR_ALBEDO = 0.8  # of the colours above: strands shade one another
GRAY_BROWS: Rgb = (0.40, 0.39, 0.38)
BROW_LIMIT: Rgb = (0.16, 0.14, 0.12)  # blond brows are darker than blond hair


def brow_color(hair: Floats, gray: float) -> Rgb:
    """Return the colour of brows and beard: they gray later than hair and are never very light."""
    color = hair * (1 - 0.75 * gray) + np.array(GRAY_BROWS) * 0.75 * gray
    return scaled(np.minimum(color, BROW_LIMIT), 0.9)


def scaled(color: Floats, factor: float) -> Rgb:
    """Return the colour, lighter or darker."""
    red, green, blue = (float(c) * factor for c in color)
    return red, green, blue
