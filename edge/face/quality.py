"""Whether a face is good enough to enrol: its size, sharpness, light and pose.

The limits are where the face encoder's embedding begins to leave that of a good photo of the same
person; `docs/face_detection.md` has the measurements.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..types import Float32, UInt8
from .align import Head

SMALLEST_HEAD = 48.0  # pixels, crown to chin
LARGEST_YAW = 35.0  # degrees
LARGEST_PITCH = 25.0
LARGEST_ROLL = 30.0
LEAST_SHARPNESS = 0.8  # of `sharpness`
SHARP = 3.2  # of a face that has nothing to gain
DARKEST, BRIGHTEST = 40.0, 235.0  # mean grey of the face, 0..255
LEAST_CONTRAST = 8.0  # standard deviation of the face's grey


def faults(crop: UInt8, head: Head) -> Iterator[str]:
    """Yield why a face cannot be enrolled, the gravest first; nothing when it can.

    Args:
        crop: (n, n, 3) sRGB, the aligned face as the encoder sees it.
        head: where it was in the picture.
    """
    if head.crown_to_chin < SMALLEST_HEAD:
        yield (
            f"the face is too small ({head.crown_to_chin:.0f} pixels from crown to chin, "
            f"{SMALLEST_HEAD:.0f} are needed); come closer or use a larger photo"
        )
    if abs(head.yaw) > LARGEST_YAW:
        yield f"the face is turned {abs(head.yaw):.0f}° aside; look towards the camera"
    if abs(head.pitch) > LARGEST_PITCH:
        way = "down" if head.pitch > 0 else "up"
        yield f"the face looks {abs(head.pitch):.0f}° {way}; look towards the camera"
    if abs(head.roll) > LARGEST_ROLL:
        yield f"the head is tilted by {abs(head.roll):.0f}°; hold it, or the photo, upright"
    face = _grey(crop)
    if not DARKEST <= face.mean() <= BRIGHTEST:
        yield f"the face is too {'dark' if face.mean() < DARKEST else 'bright'}; change the light"
    elif face.std() < LEAST_CONTRAST:
        yield "the face has hardly any contrast; change the light"
    elif sharpness(crop) < LEAST_SHARPNESS:
        yield "the face is blurred; hold the camera still, or use a sharper photo"


def quality(crop: UInt8, head: Head, score: float) -> float:
    """Return how good a face that may be enrolled is, 0..1.

    The geometric mean of the detector's probability, of how near the head is to frontal, of
    sharpness and of size; a photo of 1 has nothing left to wish for.
    """
    frontal = math.cos(math.radians(head.yaw)) * math.cos(math.radians(head.pitch))
    sharp = min(1.0, sharpness(crop) / SHARP)
    large = min(1.0, head.crown_to_chin / (2 * SMALLEST_HEAD))
    return float((max(score, 0.0) * max(frontal, 0.0) * sharp * large) ** 0.25)


def sharpness(crop: UInt8) -> float:
    """Return the share of detail in a face: energy of its Laplacian over that of its gradient.

    A ratio, so that light and contrast do not count; 0 for a flat picture. Taken at half size,
    where the noise of a sensor is small beside what a face has.
    """
    face = _grey(crop)
    rows, columns = (n // 2 for n in face.shape)
    face = face[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))
    down, right = np.gradient(face)
    laplacian = (
        face[:-2, 1:-1] + face[2:, 1:-1] + face[1:-1, :-2] + face[1:-1, 2:] - 4 * face[1:-1, 1:-1]
    )
    energy = float(np.square(down).mean() + np.square(right).mean())
    return float(np.square(laplacian).mean()) / energy if energy > 0 else 0.0


def _grey(crop: UInt8) -> Float32:
    """Return the luma (BT.601) of the middle of a crop, where the face is and no background."""
    n = len(crop)
    middle = crop[n // 4 : -n // 8, n // 4 : -n // 4]
    return middle.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
