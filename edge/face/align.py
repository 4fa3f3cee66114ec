"""Frames a face as the face encoder was trained to see it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..types import UInt8

if TYPE_CHECKING:
    from ..manifest import FaceAlignment


@dataclass(frozen=True, slots=True)
class Head:
    """Where a head is in a picture and how it is held."""

    eyes_x: float  # midpoint between the eyes, pixels of the picture
    eyes_y: float
    crown_to_chin: float  # pixels
    yaw: float = 0.0  # degrees, + turns the face to the picture's right
    pitch: float = 0.0  # degrees, + looks down
    roll: float = 0.0  # degrees, + tilts counter-clockwise


def align(picture: UInt8, head: Head, alignment: FaceAlignment, size: int) -> UInt8:
    """Return the square (size, size, 3) around a head, upright, framed as the bundle says.

    What lies beyond the picture is filled with its border.
    """
    side = head.crown_to_chin / alignment.crown_to_chin
    right, down = (0.5 - alignment.eyes_x) * side, (0.5 - alignment.eyes_y) * side
    turn = math.radians(head.roll)
    center_x = head.eyes_x + right * math.cos(turn) + down * math.sin(turn)
    center_y = head.eyes_y - right * math.sin(turn) + down * math.cos(turn)
    return cut(picture, center_x, center_y, side, head.roll, size)


def cut(
    picture: UInt8, center_x: float, center_y: float, side: float, roll: float, size: int
) -> UInt8:
    """Return a square of a picture (h, w, 3), turned upright, as (size, size, 3).

    Args:
        picture: sRGB; or grey, without the last axis, as then is the result.
        center_x: of the square, pixels of the picture; it may lie beyond it.
        center_y: the same.
        side: of the square, pixels of the picture.
        roll: degrees that its upright leans counter-clockwise in the picture.
        size: of the result, pixels.
    """
    from PIL import Image

    turn = math.radians(roll)
    reach = 0.5 * side * (abs(math.cos(turn)) + abs(math.sin(turn))) + 2.0
    rows = np.arange(math.floor(center_y - reach), math.ceil(center_y + reach) + 1)
    columns = np.arange(math.floor(center_x - reach), math.ceil(center_x + reach) + 1)
    height, width = picture.shape[:2]
    part = Image.fromarray(picture[np.clip(rows, 0, height - 1)][:, np.clip(columns, 0, width - 1)])
    x, y = center_x - columns[0], center_y - rows[0]
    half = 0.5 * side
    if roll == 0.0:
        box = (x - half, y - half, x + half, y + half)
        return np.asarray(part.resize((size, size), Image.Resampling.LANCZOS, box), np.uint8)
    if (factor := int(side / (2 * size))) > 1:  # bicubic interpolation alone would alias
        part = part.reduce(factor)
        x, y, half = x / factor, y / factor, half / factor
    step = half / size  # of one pixel, at twice the size
    cos, sin = step * math.cos(turn), step * math.sin(turn)
    corner_x = x - size * (cos + sin)
    corner_y = y - size * (cos - sin)
    turned = part.transform(
        (2 * size, 2 * size),
        Image.Transform.AFFINE,
        (cos, sin, corner_x, -sin, cos, corner_y),
        Image.Resampling.BICUBIC,
    )
    return np.asarray(turned.reduce(2), np.uint8)
