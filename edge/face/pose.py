"""How a head is held and where exactly it is, from the picture inside a detector's box.

Gradient histograms (HOG: Dalal and Triggs 2005) and a linear map, twice: the second map sees the
head as the first one aligned it (supervised descent: Xiong and De la Torre 2013, section 3). The
maps were fitted on rendered heads, by `convert.training.pose`.
"""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import BundleError
from ..types import Float32, UInt8
from .align import Head, cut

if TYPE_CHECKING:
    from ..manifest import FaceDetectorInfo
    from .detect import Box

SIZE = 64  # pixels, both sides of what is looked at
REACH = 1.3  # side of the square looked at, in crown-chin heights
CELL = 8  # pixels
BINS = 12  # signed directions of the gradient: light on dark is not dark on light
FEATURES = (SIZE // CELL) ** 2 * BINS
TARGETS = 6  # right, down and log size in crown-chin heights; yaw, pitch and roll / 45 degrees
DEGREES = 45.0


@dataclass(frozen=True, slots=True)
class PoseMaps:
    """The linear maps of both steps, features and a constant to targets."""

    maps: Float32  # (steps, FEATURES + 1, TARGETS)


def unpack_maps(content: bytes, where: str) -> PoseMaps:
    """Read the maps of a bundle, an .npz with one array `maps`.

    Raises:
        BundleError: it is something else.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            maps = arrays["maps"].astype(np.float32)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as exc:
        raise BundleError(f"{where}: not pose maps; install the bundle again") from exc
    if maps.ndim != 3 or maps.shape[1:] != (FEATURES + 1, TARGETS) or not np.isfinite(maps).all():
        raise BundleError(f"{where}: pose maps of another shape; install the bundle again")
    return PoseMaps(maps)


def first_guess(box: Box, info: FaceDetectorInfo) -> Head:
    """Return the upright frontal head that a box usually shows."""
    return Head(
        eyes_x=box.left + info.eyes_x * box.width,
        eyes_y=box.top + info.eyes_y * box.height,
        crown_to_chin=info.crown_to_chin * box.height,
    )


def refine(picture: UInt8, guess: Head, maps: PoseMaps) -> Head:
    """Return the head in a picture (h, w, 3) as the maps see it, one step after the other."""
    grey, head = luma(picture), guess
    for step in maps.maps:
        head = _moved(head, features(grey, head) @ step[:-1] + step[-1])
    return head


def luma(picture: UInt8) -> UInt8:
    """Return a picture (h, w, 3) in grey (h, w), BT.601."""
    from PIL import Image

    return np.asarray(Image.fromarray(picture).convert("L"), np.uint8)


def features(grey: UInt8, head: Head) -> Float32:
    """Return the gradient histograms (FEATURES,) of a head guessed to be in a grey picture."""
    side = REACH * head.crown_to_chin
    patch = cut(grey, head.eyes_x, head.eyes_y, side, head.roll, SIZE)
    down, right = np.gradient(np.sqrt(patch.astype(np.float32)))
    energy = np.hypot(right, down)
    angle = np.arctan2(down, right) / (2 * math.pi) % 1.0 * BINS
    low = np.floor(angle).astype(np.intp)
    share = angle - low
    cells = SIZE // CELL
    where = np.add.outer(np.arange(SIZE) // CELL * cells, np.arange(SIZE) // CELL) * BINS
    histogram = np.zeros(FEATURES)
    for weight, bin_ in ((1 - share, low % BINS), (share, (low + 1) % BINS)):
        histogram += np.bincount(
            (where + bin_).ravel(), (energy * weight).ravel(), minlength=FEATURES
        )
    return _normalised(histogram.reshape(cells, cells, BINS))


def targets(true: Head, guess: Head) -> Float32:
    """Return what the maps should say (TARGETS,) when a head is guessed somewhere."""
    turn = math.radians(guess.roll)
    x = (true.eyes_x - guess.eyes_x) / guess.crown_to_chin
    y = (true.eyes_y - guess.eyes_y) / guess.crown_to_chin
    return np.array(
        [
            x * math.cos(turn) - y * math.sin(turn),
            x * math.sin(turn) + y * math.cos(turn),
            math.log(true.crown_to_chin / guess.crown_to_chin),
            true.yaw / DEGREES,
            true.pitch / DEGREES,
            (true.roll - guess.roll) / DEGREES,
        ],
        np.float32,
    )


def _moved(guess: Head, values: Float32) -> Head:
    """Return the head that the maps' values speak of: the inverse of `targets`."""
    right, down, log_size, yaw, pitch, roll = (float(v) for v in values)
    turn = math.radians(guess.roll)
    return Head(
        eyes_x=guess.eyes_x
        + guess.crown_to_chin * (right * math.cos(turn) + down * math.sin(turn)),
        eyes_y=guess.eyes_y
        + guess.crown_to_chin * (down * math.cos(turn) - right * math.sin(turn)),
        crown_to_chin=guess.crown_to_chin * math.exp(min(max(log_size, -0.5), 0.5)),
        yaw=yaw * DEGREES,
        pitch=pitch * DEGREES,
        roll=guess.roll + roll * DEGREES,
    )


def _normalised(cells: npt.NDArray[np.float64]) -> Float32:
    """Divide each cell by the energy around it: light and contrast of the photo fall out."""
    energy = np.pad(np.square(cells).sum(axis=2), 1)
    rows, columns = cells.shape[:2]
    around = sum(energy[r : r + rows, c : c + columns] for r in range(3) for c in range(3))
    scaled = np.minimum(cells / np.sqrt(around + 1e-3)[..., None], 0.3)
    return np.asarray(scaled.ravel(), np.float32)
