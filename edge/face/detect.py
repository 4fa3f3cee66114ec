"""Where the faces are in a picture: a single-shot detector that a bundle carries.

Anchors, variances and the suppression of overlapping boxes are those of SSD (Liu et al. 2016,
sections 2.1 and 2.2); the numbers are the bundle's (`manifest.FaceDetectorInfo`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..embed.quantization import dequantize, quantize
from ..types import Float32, UInt8

if TYPE_CHECKING:
    from ..manifest import FaceDetectorInfo
    from ..runtime import Runnable

LEVELS = 3  # the whole picture, then quarters of it, then sixteenths, overlapping by half
SMALLEST_TILE = 320  # pixels; a tile below the detector's own size shows it nothing new
BEST = 200  # boxes that suppression looks at, at most


@dataclass(frozen=True, slots=True)
class Box:
    """One face found; left, top, right and bottom in pixels of the picture, maybe beyond it."""

    left: float
    top: float
    right: float
    bottom: float
    score: float  # probability, 0..1

    @property
    def width(self) -> float:
        """Return the width, pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Return the height, pixels."""
        return self.bottom - self.top

    def overlap(self, other: Box) -> float:
        """Return intersection over union with another box, 0..1."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.width * self.height + other.width * other.height - shared)


class FaceDetector:
    """The bundle's face detector. Belongs to one thread, as its model does."""

    def __init__(self, model: Runnable, info: FaceDetectorInfo) -> None:
        """Prepare the anchors of a model and what the bundle's manifest says of it."""
        self._model = model
        self._info = info
        _, self._height, self._width, _ = model.inputs["image"].shape
        self._anchors = _anchors(info, self._width, self._height)

    def detect(self, picture: UInt8) -> tuple[Box, ...]:
        """Return the faces of a picture (h, w, 3) sRGB, largest first.

        When the whole picture shows none, parts of it are looked at more closely: a face is found
        from about a fortieth of a large picture's width on.
        """
        for level in range(LEVELS):
            found = [box for tile in _tiles(picture, level) for box in self._detect(*tile)]
            if found:
                kept = _suppress(found, self._info.overlap)
                return tuple(sorted(kept, key=lambda box: box.width * box.height, reverse=True))
        return ()

    def _detect(self, tile: UInt8, left: int, top: int) -> list[Box]:
        """Return the faces of one tile in pixels of the picture, unsuppressed."""
        image, scale = self._fit(tile)
        given = quantize((image - self._info.mean) / self._info.std, self._model.inputs["image"])
        outputs = self._model.run(image=given[None])
        real = {name: dequantize(out, self._model.outputs[name]) for name, out in outputs.items()}
        scores = real["scores"][0, :, 1]
        best = np.argsort(-scores, kind="stable")[:BEST]
        best = best[scores[best] >= self._info.score]
        corners = self._corners(real["boxes"][0, best], self._anchors[best]) / scale
        corners += np.array([left, top, left, top])
        return [
            Box(left, top, right, bottom, score)
            for (left, top, right, bottom), score in zip(
                corners.tolist(), scores[best].tolist(), strict=True
            )
        ]

    def _fit(self, tile: UInt8) -> tuple[Float32, float]:
        """Return the tile at the top left of the detector's input, and its scale there.

        The rest is the detector's own zero, a grey.
        """
        from PIL import Image

        height, width = tile.shape[:2]
        scale = min(self._width / width, self._height / height)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = Image.fromarray(tile).resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
        image = np.full((self._height, self._width, 3), self._info.mean, np.float32)
        image[: size[1], : size[0]] = np.asarray(small, np.float32)
        return image, scale

    def _corners(self, offsets: Float32, anchors: Float32) -> Float32:
        """Return left, top, right, bottom in input pixels (n, 4) of outputs and anchors (n, 4)."""
        info = self._info
        centers = anchors[:, :2] + info.center_variance * offsets[:, :2] * anchors[:, 2:]
        halves = 0.5 * anchors[:, 2:] * np.exp(info.size_variance * offsets[:, 2:])
        return np.concatenate([centers - halves, centers + halves], axis=1)


def _anchors(info: FaceDetectorInfo, width: int, height: int) -> Float32:
    """Return centre x, y, width and height of every anchor, in pixels of the input: (n, 4)."""
    rows = [
        ((x + 0.5) * stride, (y + 0.5) * stride, min(side, width), min(side, height))
        for stride, sides in zip(info.strides, info.anchors, strict=True)
        for y in range(-(-height // stride))
        for x in range(-(-width // stride))
        for side in sides
    ]
    return np.array(rows, np.float32)


def _tiles(picture: UInt8, level: int) -> Iterator[tuple[UInt8, int, int]]:
    """Yield (tile, left, top): at each level half as wide and high as at the one before."""
    height, width = picture.shape[:2]
    side_y, side_x = -(-height // 2**level), -(-width // 2**level)
    if level > 0 and max(side_x, side_y) < SMALLEST_TILE:
        return
    steps = 2 ** (level + 1) - 1  # tiles overlap by half
    for row in range(steps):
        for column in range(steps):
            top, left = (height - side_y) * row // max(1, steps - 1), 0
            left = (width - side_x) * column // max(1, steps - 1)
            yield picture[top : top + side_y, left : left + side_x], left, top


def _suppress(boxes: list[Box], overlap: float) -> list[Box]:
    """Keep of boxes that overlap the one with the highest score (non-maximum suppression)."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda box: box.score, reverse=True):
        if all(box.overlap(other) <= overlap for other in kept):
            kept.append(box)
    return kept
