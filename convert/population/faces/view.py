"""Camera and lights: how a head is looked at, and where its points fall in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .face import Rgb
from .raster import Float64

EYE_ROW = 0.485  # share of the picture's height at which the eyes lie
HEAD_SHARE = 0.74  # crown to chin, share of the picture's height
SHADOW_MAP = 144  # pixels along each side
SHADOW_PIXELS_PER_DM = 24.0
DISTANCE = 14.0 / 2.35  # camera to eyes in crown-chin heights


@dataclass(frozen=True, slots=True)
class Light:
    """One distant light."""

    direction: tuple[float, float, float]  # towards the light: right, up, towards the camera
    intensity: float


@dataclass(frozen=True, slots=True)
class View:
    """Pose, framing and light of one picture; the default is the canonical portrait."""

    yaw: float = 0.0  # degrees, + turns the face to the picture's right
    pitch: float = 0.0  # degrees, + looks down
    roll: float = 0.0  # degrees, + tilts counter-clockwise
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)  # right and down, shares of the picture
    lights: tuple[Light, ...] = (  # key, fill, top
        Light((-0.45, 0.42, 0.79), 0.62),
        Light((0.55, 0.25, 0.80), 0.46),
        Light((0.0, 0.75, 0.35), 0.18),
    )
    ambient: Rgb = (0.42, 0.42, 0.44)
    background: Rgb = (0.36, 0.37, 0.39)
    exposure: float = 1.0

    @property
    def turned(self) -> bool:
        """Tell whether the head is turned at all."""
        return (self.yaw, self.pitch, self.roll) != (0.0, 0.0, 0.0)

    def rotation(self) -> Float64:
        """Return the (3, 3) rotation roll x pitch x yaw from head to camera space."""
        yaw, pitch, roll = np.radians([self.yaw, self.pitch, self.roll])
        cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
        cr, sr = np.cos(roll), np.sin(roll)
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        turned: Float64 = about_z @ about_x @ about_y
        return turned


CANONICAL = View()


def project(vertices: Float64, eyes: Float64, head_height: float, view: View, side: int) -> Float64:
    """Return x, y in samples and depth in dm of every vertex (n, 3), in perspective.

    The picture is normalised: the middle of the eyes is fixed, and crown to chin has a fixed
    height, so that absolute size cannot be seen.

    Args:
        vertices: (n, 3) dm.
        eyes: (3,) middle between the eyes, dm.
        head_height: crown to chin, dm.
        view: pose and framing.
        side: of the square picture, in samples.
    """
    rotation = view.rotation()
    pivot = np.array([0.0, eyes[1] - 0.1 * head_height, eyes[2] - 0.45 * head_height])
    turned = (vertices - pivot) @ rotation.T + pivot
    center = rotation @ (eyes - pivot) + pivot if view.turned else np.array([0.0, *eyes[1:]])
    depth = turned[:, 2] - center[2]
    distance = DISTANCE * head_height
    scale = side * HEAD_SHARE * view.zoom / head_height * distance / (distance - depth)
    points: Float64 = np.empty_like(turned)
    points[:, 0] = side * (0.5 + view.shift[0]) + (turned[:, 0] - center[0]) * scale
    points[:, 1] = side * (EYE_ROW + view.shift[1]) - (turned[:, 1] - center[1]) * scale
    points[:, 2] = depth
    return points


def unit(direction: tuple[float, float, float]) -> Float64:
    """Return the direction at length 1."""
    vector: Float64 = np.array(direction) / np.linalg.norm(direction)
    return vector


def shadow_map_points(vertices: Float64, eyes: Float64, direction: Float64) -> Float64:
    """Return the vertices (n, 3) as a distant light sees them: shadow-map pixels, depth in dm."""
    right = np.cross([0.0, 1.0, 0.0], direction)
    right /= np.linalg.norm(right)
    up = np.cross(direction, right)
    axes = np.stack([right * SHADOW_PIXELS_PER_DM, -up * SHADOW_PIXELS_PER_DM, direction])
    points: Float64 = (vertices - eyes) @ axes.T
    points += np.array([SHADOW_MAP / 2, SHADOW_MAP / 2, 0.0])
    return points
