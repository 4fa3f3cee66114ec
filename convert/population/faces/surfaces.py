"""What eyes, hair and brows look like under white light; skin has a module of its own.

Every function returns a `Material`; all patterns are noise on the canonical head's coordinates.
Numbers without a source are tuned by eye.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .face import Rgb, Skin
from .jit import kernel
from .noise import noise1, noise3, smoothstep
from .raster import Float32, Float64


class Vector(NamedTuple):
    """A point or direction."""

    x: float
    y: float
    z: float


class Material(NamedTuple):
    """One sample's surface."""

    color: Rgb
    wrap: Rgb  # how far light of each colour reaches around the terminator
    specular: float
    exponent: float  # of the highlight
    open: float  # ambient occlusion, 1 is open
    normal: Vector  # towards the camera is +z; unit length, or nearly


class Paint(NamedTuple):
    """Colours and amounts of one face."""

    skin: Skin
    hair: Rgb
    brow: Rgb  # and beard
    iris: Rgb
    shirt: Rgb
    beard: float
    scalp: float  # how densely the scalp is painted in the hair's colour
    curly: bool
    seed: int


class Place(NamedTuple):
    """What the procedural patterns are made from."""

    lattice: Float32  # noise
    grooves: Float32  # (rows, columns), one weighted map for this face
    wrinkled: bool
    eye_y: float  # dm, canonical head
    mouth_y: float
    rotation: Float64  # (3, 3) head to camera


@kernel
def mix(first: Rgb, second: Rgb, share: float) -> Rgb:
    """Return the colour `share` of the way from the first to the second."""
    return (
        first[0] + (second[0] - first[0]) * share,
        first[1] + (second[1] - first[1]) * share,
        first[2] + (second[2] - first[2]) * share,
    )


@kernel
def eye_material(
    u: float, v: float, height: float, normal: Vector, occlusion: float, paint: Paint, place: Place
) -> Material:
    """Return pupil, iris or sclera from the eye mesh's texture coordinates.

    The two irises lie around (0.705, 0.700) and (0.294, 0.290); the upper lid's shadow follows
    the height (dm, canonical head).
    """
    du, dv = (u - 0.705, v - 0.700) if u > 0.5 else (u - 0.294, v - 0.290)
    radius, angle = math.sqrt(du * du + dv * dv), math.atan2(dv, du)
    kind = paint.seed % 50
    fibres = noise1(angle * 9 + 20, kind) * 0.5 + noise1(angle * 26 + 60, kind + 1) * 0.5
    light = (0.55 + 0.75 * fibres) * (1.25 - 0.45 * smoothstep(0.03, 0.11, radius))
    light *= 1 - 0.8 * smoothstep(0.10, 0.134, radius)  # limbal ring
    light *= smoothstep(0.038, 0.046, radius)  # pupil
    veins = 0.03 * noise3(place.lattice, u * 60, v * 60, 2.0)
    veins += 0.25 * smoothstep(0.14, 0.30, radius)
    iris = (
        paint.iris[0] * light + 0.003,
        paint.iris[1] * light + 0.003,
        paint.iris[2] * light + 0.003,
    )
    white = (0.63 - 0.10 * veins, 0.585 - 0.38 * veins, 0.56 - 0.42 * veins)
    color = mix(iris, white, smoothstep(0.124, 0.142, radius))
    lid = 0.52 + 0.48 * smoothstep(place.eye_y + 0.085, place.eye_y + 0.01, height)
    return Material(color, (0.2, 0.17, 0.17), 0.55, 220.0, (0.35 + 0.65 * occlusion) * lid, normal)


@kernel
def hair_material(
    at: Vector, angle: float, normal: Vector, paint: Paint, place: Place
) -> tuple[Material, float]:
    """Return hair, and the brightness of its strand for the strand highlights.

    Args:
        at: place on the canonical head, dm.
        angle: around the style's pole, radians.
        normal: unit; hair seen from behind is turned round and darkened.
        paint: colours and amounts.
        place: noise and landmarks.
    """
    lattice, x, y, z = place.lattice, at.x, at.y, at.z
    nx, ny, nz = normal.x, normal.y, normal.z
    facing = 1.0
    if nz < 0:
        nx, ny, nz, facing = -nx, -ny, -nz, 0.30
    specular, exponent = 0.0, 1.0
    if paint.curly:
        clumps = 0.5 * noise3(lattice, x * 11, y * 11, z * 11)
        clumps += 0.5 * noise3(lattice, x * 25, y * 25, z * 25)
        strand = 0.35 + 1.2 * clumps * clumps
        nx += 0.9 * (noise3(lattice, x * 14, y * 14, z * 14) - 0.5)
        ny += 0.9 * (noise3(lattice, x * 14 + 5, y * 14, z * 14) - 0.5)
        specular, exponent = 0.02, 8.0
    else:
        wave, kind = 1.1 * noise3(lattice, x * 2.2, y * 2.2, z * 2.2), paint.seed % 991
        strand = 0.45 + 0.55 * noise1(angle * 16 + 3 * wave, kind)
        strand += 0.35 * noise1(angle * 60 + 1.5 * wave, kind + 1)
        strand += 0.3 * noise1(angle * 170, kind + 2)
    behind = smoothstep(place.eye_y - 0.2, place.mouth_y - 0.9, y) * smoothstep(0.8, 0.2, z)
    color = (paint.hair[0] * strand, paint.hair[1] * strand, paint.hair[2] * strand)
    occlusion = facing * (1 - 0.55 * behind)
    material = Material(
        color, (0.25, 0.25, 0.25), specular, exponent, occlusion, Vector(nx, ny, nz)
    )
    return material, strand


@kernel
def brow_material(at: Vector, normal: Vector, paint: Paint, place: Place) -> Material:
    """Return eyebrow hair; both of its sides face the camera."""
    light = 0.75 + 0.5 * noise3(place.lattice, at.x * 31, at.y * 31, 1.0)
    color = (paint.brow[0] * light, paint.brow[1] * light, paint.brow[2] * light)
    facing = Vector(normal.x, normal.y, abs(normal.z))
    return Material(color, (0.3, 0.3, 0.3), 0.0, 20.0, 1.0, facing)


@kernel
def lash_material(normal: Vector) -> Material:
    """Return eyelashes: nearly black."""
    return Material((0.012, 0.009, 0.008), (0.0, 0.0, 0.0), 0.0, 20.0, 1.0, normal)
