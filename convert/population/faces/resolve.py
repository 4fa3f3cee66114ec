"""From linear samples to the finished picture: box filter, tone curve, sRGB."""

from __future__ import annotations

import math

import numpy as np

from .face import Rgb
from .jit import kernel
from .raster import Float32, Samples, UInt8


@kernel
def resolve(
    colors: Float32, samples: Samples, supersample: int, background: Rgb, exposure: float
) -> UInt8:
    """Return the picture (h, w, 3) uint8 sRGB: box filter, soft shoulder above 0.6, encoding.

    The background falls off by 10 % towards the corners.
    """
    height, width = colors.shape[0] // supersample, colors.shape[1] // supersample
    picture = np.empty((height, width, 3), np.uint8)
    share = 1.0 / (supersample * supersample)
    for row in range(height):
        for column in range(width):
            dx, dy = (column + 0.5) / width - 0.5, (row + 0.5) / height - 0.5
            empty = 0
            red, green, blue = 0.0, 0.0, 0.0
            for y in range(row * supersample, (row + 1) * supersample):
                for x in range(column * supersample, (column + 1) * supersample):
                    if samples.triangle[y, x] < 0:
                        empty += 1
                    else:
                        red += colors[y, x, 0]
                        green += colors[y, x, 1]
                        blue += colors[y, x, 2]
            behind = empty * (1.0 - 0.2 * (dx * dx + dy * dy))
            picture[row, column, 0] = _encode((red + behind * background[0]) * share * exposure)
            picture[row, column, 1] = _encode((green + behind * background[1]) * share * exposure)
            picture[row, column, 2] = _encode((blue + behind * background[2]) * share * exposure)
    return picture


@kernel
def _encode(linear: float) -> int:
    """Return the sRGB code of a linear value (IEC 61966-2-1), highlights compressed."""
    if linear > 0.6:
        linear = 0.6 + 0.4 * math.tanh((linear - 0.6) / 0.4)
    if linear <= 0.0031308:
        encoded = 12.92 * max(linear, 0.0)
    else:
        encoded = 1.055 * linear ** (1 / 2.4) - 0.055
    return int(min(encoded, 1.0) * 255 + 0.5)
