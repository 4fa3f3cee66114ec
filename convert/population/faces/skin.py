"""Skin: pigments, pores, wrinkles, and the beard, scalp and shirt painted on it.

Melanin and haemoglobin absorb exponentially; all patterns are noise on the canonical head's
coordinates. Numbers are tuned by eye.
"""

from __future__ import annotations

import math

from .face import Rgb
from .jit import kernel
from .noise import noise1, noise3, smoothstep
from .raster import Float32, Float64
from .surfaces import Material, Paint, Place, Vector, mix

# columns of `Geometry.skin_masks`
(OPEN, LIP, EAR, LID, BLUSH, NOSE, UNDER_EYE, T_ZONE, BEARD, SCALP, CLOTH, INSIDE) = range(12)
MASKS = 12


@kernel
def groove_depth(grooves: Float32, x: float, y: float, eye_y: float) -> float:
    """Sample the groove map (x -1..1, y from eye_y + 1.2 down 3.4 dm), 0 outside of it."""
    rows, columns = grooves.shape
    u = (x + 1) * 0.5 * (columns - 1)
    v = (eye_y + 1.2 - y) / 3.4 * (rows - 1)
    if u < 1 or v < 1 or u > columns - 3 or v > rows - 3:
        return 0.0
    i, j = int(u), int(v)
    a, b = u - i, v - j
    upper: float = grooves[j, i] * (1 - a) + grooves[j, i + 1] * a
    lower: float = grooves[j + 1, i] * (1 - a) + grooves[j + 1, i + 1] * a
    return upper * (1 - b) + lower * b


@kernel
def cloth_material(
    shirt: Rgb, depth: float, at: Vector, normal: Vector, occlusion: float, lattice: Float32
) -> Material:
    """Return the crew-neck shirt, `depth` dm below its collar line."""
    light = 0.93 + 0.14 * noise3(lattice, at.x * 70, at.y * 30, at.z * 70)
    light *= smoothstep(0.0, 0.03, depth) * 0.25 + 0.75
    if depth < 0.07:
        light *= 1.12
    color = (shirt[0] * light, shirt[1] * light, shirt[2] * light)
    return Material(color, (0.05, 0.05, 0.05), 0.0, 20.0, occlusion, normal)


@kernel
def skin_material(
    masks: Float64, at: Vector, normal: Vector, shadow: float, paint: Paint, place: Place
) -> Material:
    """Return skin, or the shirt, beard or painted scalp that covers it.

    Args:
        masks: (12,) interpolated `Geometry.skin_masks`.
        at: place on the canonical head, dm.
        normal: unit, towards the camera.
        shadow: 0..1, how much hair hides the sky here.
        paint: colours and amounts.
        place: noise, grooves and landmarks.
    """
    skin, lattice = paint.skin, place.lattice
    x, y, z = at.x, at.y, at.z
    nx, ny, nz = normal.x, normal.y, normal.z
    occlusion = masks[OPEN] * (1 - 0.55 * shadow)
    shift = (paint.seed % 97) * 0.37
    coarse = noise3(lattice, x * 6 + shift, y * 6, z * 6)
    middle = noise3(lattice, x * 17, y * 17 + shift, z * 17)
    fine = noise3(lattice, x * 55, y * 55, z * 55 + shift)
    if masks[CLOTH] > 0.006 * (fine - 0.5):
        return cloth_material(paint.shirt, masks[CLOTH], at, normal, occlusion, lattice)

    lip = smoothstep(0.25, 0.75, masks[LIP])
    melanin = skin.melanin * (1 + 0.16 * (coarse - 0.5) + 0.10 * (middle - 0.5))
    melanin += 0.05 * masks[UNDER_EYE] * (1 + skin.old * 0.6) + 0.02 * masks[EAR]
    melanin += lip * (0.05 + 0.06 * skin.melanin)
    blood = skin.blood + 0.10 * (coarse - 0.5) + 0.09 * (middle - 0.5)
    blood += skin.blush * 0.55 * masks[BLUSH] + 0.28 * masks[EAR]
    blood += 0.22 * masks[UNDER_EYE] + 0.15 * masks[LID] + lip * skin.lips
    if skin.freckles > 0.01:
        spot = smoothstep(0.62, 0.85, noise3(lattice, x * 38 + shift, y * 38, z * 38))
        melanin += skin.freckles * 0.16 * spot * (0.2 + masks[BLUSH])
    if skin.age_spots > 0.01:
        spot = noise3(lattice, x * 9, y * 9 + shift, z * 9) * 0.7 + 0.3 * middle
        melanin += skin.age_spots * 0.10 * smoothstep(0.60, 0.85, spot)
    if place.wrinkled:
        gx = x + 0.05 * (noise3(lattice, x * 3 + shift, y * 3, 5.0) - 0.5)
        gy = y + 0.07 * (noise3(lattice, x * 3, y * 3 + shift, 9.0) - 0.5)
        step = 0.012  # dm
        depth = groove_depth(place.grooves, gx, gy, place.eye_y)
        slope_x = (groove_depth(place.grooves, gx + step, gy, place.eye_y) - depth) / step
        slope_y = (groove_depth(place.grooves, gx, gy + step, place.eye_y) - depth) / step
        tilt, turn = 0.016 * (1 - 0.8 * lip), place.rotation
        nx += tilt * (slope_x * turn[0, 0] + slope_y * turn[0, 1])
        ny += tilt * (slope_x * turn[1, 0] + slope_y * turn[1, 1])
        nz += tilt * (slope_x * turn[2, 0] + slope_y * turn[2, 1])
        blood += 0.30 * depth
        melanin += 0.05 * depth
        occlusion *= 1 - 0.22 * depth

    bump = 0.035 * skin.roughness * (1 + 0.9 * skin.old)
    pores = noise3(lattice, x * 55 + 9, y * 55, z * 55)
    nx += bump * ((fine - 0.5) * 1.6 + (middle - 0.5))
    ny += bump * ((pores - 0.5) * 1.6 + (coarse - 0.5))
    if lip > 0.2:
        nx += (noise1(x * 75 + 4 * middle, 3) - 0.5) * 0.10 * lip
    length = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz + 1e-12)

    color = (
        0.84 * math.exp(-(2.05 * melanin + 0.06 * blood)),
        0.60 * math.exp(-(2.50 * melanin + 0.62 * blood + 0.06 * skin.yellow)),
        0.50 * math.exp(-(2.85 * melanin + 0.55 * blood + 0.32 * skin.yellow)),
    )
    covered = 0.0
    if paint.beard > 0.01:
        hairs = noise3(lattice, x * 110, y * 45, z * 80) - 0.5
        hairs = 0.72 + 0.36 * (fine - 0.5) + 0.14 * (middle - 0.5) + 0.5 * hairs
        covered = min(0.93, paint.beard * masks[BEARD] * hairs)
        color = mix(color, paint.brow, covered)
    if paint.scalp > 0.01:
        inside = masks[SCALP] + 0.07 * (middle - 0.5) + 0.05 * (fine - 0.5)
        painted = paint.scalp * smoothstep(-0.03, 0.09, inside) * (0.8 + 0.3 * fine)
        painted = min(painted, 0.97)
        color = mix(color, paint.hair, painted)
        covered = max(covered, painted)
    specular = 0.055 + 0.050 * masks[T_ZONE] + 0.09 * lip
    specular *= (1 - 0.75 * covered) * (1.0 - 0.25 * skin.old)
    if masks[INSIDE] > 0.5:  # of the mouth
        color = (color[0] * 0.25, color[1] * 0.15, color[2] * 0.15)
        specular = 0.0
    exponent = 14 + 10 * masks[T_ZONE] + 18 * lip
    facing = Vector(nx * length, ny * length, nz * length)
    return Material(color, (0.42, 0.24, 0.17), specular, exponent, occlusion, facing)
