"""Deferred shading: the light that leaves every sample.

Linear RGB in camera space. Diffuse light is wrapped (a cheap stand-in for subsurface scattering),
highlights are Blinn-Phong, straight hair shines along its strands (Kajiya & Kay 1989).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .face import Rgb
from .hair import StrandFrame, strand_angle
from .jit import kernel
from .raster import Float32, Float64, Int32, Samples
from .skin import MASKS, skin_material
from .surfaces import (
    Material,
    Paint,
    Place,
    Vector,
    brow_material,
    eye_material,
    hair_material,
    lash_material,
)

SKIN, EYE, HAIR, BROW, LASH = 0, 1, 2, 3, 4  # materials

_POWER_STEPS = 4096
_POWER = (np.arange(_POWER_STEPS + 2) / _POWER_STEPS) ** 1.3


class Mesh(NamedTuple):
    """Everything that is drawn, in camera space, for the kernels."""

    triangles: Int32  # (t, 3)
    material: Int32  # (t,)
    normals: Float64  # (n, 3)
    rest: Float32  # (n, 3) place on the canonical head, dm
    masks: Float32  # (skin vertices + eye vertices, 12); of eyes only the first column is used
    shadow: Float32  # (n,) of hair on skin and eyes, 0..1
    eye_uv: Float32  # (eye vertices, 2)
    first_eye: int  # vertex


class Lights(NamedTuple):
    """Distant lights and the ambient."""

    directions: Float64  # (k, 3) unit, towards the light
    intensities: Float64  # (k,)
    ambient: Rgb


@kernel
def _falloff(x: float) -> float:
    """Return x ** 1.3 for x >= 0, from a table below 1: the power is what shading costs most."""
    if x >= 1.0:
        return float(x**1.3)
    t = x * _POWER_STEPS
    i = int(t)
    low, high = _POWER[i], _POWER[i + 1]
    return float(low + (high - low) * (t - i))


@kernel
def _cosine(normal: Vector, directions: Float64, light: int) -> float:
    return float(
        normal.x * directions[light, 0]
        + normal.y * directions[light, 1]
        + normal.z * directions[light, 2]
    )


@kernel
def _reach(material: Material) -> float:
    """Return how much of a distant light gets to a half-hidden surface."""
    return 0.25 + 0.75 * min(material.open, 1.0)


@kernel
def _diffuse(material: Material, lights: Lights) -> Rgb:
    """Return the light scattered by a white surface: ambient, plus each light wrapped around."""
    sky = (0.72 + 0.28 * material.normal.y) * material.open
    red, green, blue = lights.ambient[0] * sky, lights.ambient[1] * sky, lights.ambient[2] * sky
    wrap, reach = material.wrap, _reach(material)
    for q in range(len(lights.intensities)):
        cosine = _cosine(material.normal, lights.directions, q)
        power = lights.intensities[q] * reach
        red += power * _falloff(max(0.0, (cosine + wrap[0]) / (1 + wrap[0])))
        green += power * _falloff(max(0.0, (cosine + wrap[1]) / (1 + wrap[1])))
        blue += power * _falloff(max(0.0, (cosine + wrap[2]) / (1 + wrap[2])))
    return red, green, blue


@kernel
def _specular(material: Material, lights: Lights, half: Float64) -> float:
    """Return the Blinn-Phong highlight."""
    shine = 0.0
    if material.specular <= 0.0:
        return shine
    strength = material.specular * _reach(material)
    for q in range(len(lights.intensities)):
        cosine = _cosine(material.normal, half, q)
        lit = _cosine(material.normal, lights.directions, q) > -0.1
        if lit and cosine > 0.5:  # below, the highlight is too weak to be seen
            shine += lights.intensities[q] * strength * cosine**material.exponent
    return shine


@kernel
def _strand_highlight(
    material: Material,
    lights: Lights,
    half: Float64,
    angle: float,
    strand: float,
    green: float,
    rotation: Float64,
    frame: StrandFrame,
) -> float:
    """Return the sharp and the broad highlight of straight hair (Kajiya & Kay 1989).

    Args:
        material: the hair here.
        lights: where light comes from.
        half: (k, 3) unit, between each light and the viewer.
        angle: around the style's pole, radians.
        strand: brightness of this strand; shifts and scales its highlight.
        green: of the hair's colour; the broad highlight has passed through the hair.
        rotation: (3, 3) head to camera.
        frame: where the pole is.
    """
    sine, cosine, u, v = math.sin(angle), math.cos(angle), frame.u, frame.v
    across_x = v[0] * cosine - u[0] * sine
    across_y = v[1] * cosine - u[1] * sine
    across_z = v[2] * cosine - u[2] * sine
    gx = across_x * rotation[0, 0] + across_y * rotation[0, 1] + across_z * rotation[0, 2]
    gy = across_x * rotation[1, 0] + across_y * rotation[1, 1] + across_z * rotation[1, 2]
    gz = across_x * rotation[2, 0] + across_y * rotation[2, 1] + across_z * rotation[2, 2]
    normal = material.normal  # the strand lies in the surface, at right angles to `across`
    tx = normal.y * gz - normal.z * gy
    ty = normal.z * gx - normal.x * gz
    tz = normal.x * gy - normal.y * gx
    length = 1.0 / math.sqrt(tx * tx + ty * ty + tz * tz + 1e-9)
    tangent = Vector(tx * length, ty * length, tz * length)
    shine = 0.0
    for q in range(len(lights.intensities)):
        along = _cosine(tangent, half, q) + 0.16 * (strand - 1.05) - 0.10
        sine_squared = max(0.0, 1 - along * along)
        lobes = 0.030 * sine_squared**30 + 0.10 * (0.25 * green + 0.01) * sine_squared**7
        facing = max(0.0, _cosine(normal, lights.directions, q) + 0.2)
        shine += lights.intensities[q] * facing * lobes
    return shine * strand * _reach(material)


@kernel
def _halfway(directions: Float64) -> Float64:
    """Return the unit vectors between each light and the viewer at (0, 0, 1)."""
    half = directions.copy()
    for q in range(len(half)):
        half[q, 2] += 1.0
        half[q] /= math.sqrt(half[q, 0] ** 2 + half[q, 1] ** 2 + half[q, 2] ** 2)
    return half


@kernel
def shade(
    samples: Samples,
    mesh: Mesh,
    lights: Lights,
    paint: Paint,
    place: Place,
    frame: StrandFrame,
) -> Float32:
    """Return the linear colour (h, w, 3) of every sample; 0 where nothing is seen."""
    height, width = samples.triangle.shape
    out = np.zeros((height, width, 3), np.float32)
    masks = np.empty(MASKS)
    half = _halfway(lights.directions)
    normals, rest, uv = mesh.normals, mesh.rest, mesh.eye_uv
    for row in range(height):
        for column in range(width):
            t = samples.triangle[row, column]
            if t < 0:
                continue
            i0, i1, i2 = mesh.triangles[t, 0], mesh.triangles[t, 1], mesh.triangles[t, 2]
            w1, w2 = np.float64(samples.bary1[row, column]), np.float64(samples.bary2[row, column])
            w0 = 1.0 - w1 - w2
            nx = normals[i0, 0] * w0 + normals[i1, 0] * w1 + normals[i2, 0] * w2
            ny = normals[i0, 1] * w0 + normals[i1, 1] * w1 + normals[i2, 1] * w2
            nz = normals[i0, 2] * w0 + normals[i1, 2] * w1 + normals[i2, 2] * w2
            length = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz + 1e-12)
            normal = Vector(nx * length, ny * length, nz * length)
            at = Vector(
                rest[i0, 0] * w0 + rest[i1, 0] * w1 + rest[i2, 0] * w2,
                rest[i0, 1] * w0 + rest[i1, 1] * w1 + rest[i2, 1] * w2,
                rest[i0, 2] * w0 + rest[i1, 2] * w1 + rest[i2, 2] * w2,
            )
            kind = mesh.material[t]
            angle, strand = 0.0, 0.0
            if kind == SKIN:
                for k in range(MASKS):
                    masks[k] = (
                        mesh.masks[i0, k] * w0 + mesh.masks[i1, k] * w1 + mesh.masks[i2, k] * w2
                    )
                shadow = mesh.shadow[i0] * w0 + mesh.shadow[i1] * w1 + mesh.shadow[i2] * w2
                material = skin_material(masks, at, normal, shadow, paint, place)
            elif kind == EYE:
                e0, e1, e2 = i0 - mesh.first_eye, i1 - mesh.first_eye, i2 - mesh.first_eye
                material = eye_material(
                    uv[e0, 0] * w0 + uv[e1, 0] * w1 + uv[e2, 0] * w2,
                    uv[e0, 1] * w0 + uv[e1, 1] * w1 + uv[e2, 1] * w2,
                    at.y,
                    normal,
                    mesh.masks[i0, 0] * w0 + mesh.masks[i1, 0] * w1 + mesh.masks[i2, 0] * w2,
                    paint,
                    place,
                )
            elif kind == HAIR:
                angle = strand_angle(frame, at.x, at.y, at.z)
                material, strand = hair_material(at, angle, normal, paint, place)
            elif kind == BROW:
                material = brow_material(at, normal, paint, place)
            else:
                material = lash_material(normal)
            light = _diffuse(material, lights)
            shine = _specular(material, lights, half) * (1.5 if kind == EYE else 1.0)
            rim = (1 - max(material.normal.z, 0.0)) ** 4 * 0.03 * material.open
            shine += rim if kind == SKIN else 0.3 * rim
            color = material.color
            if kind == HAIR:
                if normal.z >= 0 and not paint.curly:
                    shine += _strand_highlight(
                        material, lights, half, angle, strand, paint.hair[1], place.rotation, frame
                    )
                out[row, column, 0] = color[0] * light[0] + shine * 1.06  # hair tints its shine
                out[row, column, 1] = color[1] * light[1] + shine * 0.97
                out[row, column, 2] = color[2] * light[2] + shine * 0.88
            else:
                out[row, column, 0] = color[0] * light[0] + shine
                out[row, column, 1] = color[1] * light[1] + shine
                out[row, column, 2] = color[2] * light[2] + shine
    return out
