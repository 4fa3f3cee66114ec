"""Draw a face: shape, project, rasterise, shade; and the varied photograph of it."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from . import hair, shading
from .face import Face, Rgb
from .geometry import Geometry, UInt8
from .raster import Float64, Samples, empty_samples, rasterize, vertex_normals
from .resolve import resolve
from .scene import PARTS, Scene, assemble, hair_shadow
from .skin import MASKS
from .surfaces import Paint, Place
from .view import CANONICAL, Light, View, project, unit

_MATERIALS = (shading.SKIN, shading.EYE, shading.BROW, shading.LASH, shading.HAIR)  # of PARTS
_BROW_LIFT, _LASH_LIFT = 0.03, 0.025  # dm towards the camera, keeps them out of the skin
_NO_WINDOW = 9.0  # front_z beyond every head: nothing is cut


def render(
    face: Face, geometry: Geometry, size: int = 128, supersample: int = 3, view: View = CANONICAL
) -> UInt8:
    """Draw one face; the same arguments give the same bytes.

    Args:
        face: what to draw.
        geometry: from `load_geometry`.
        size: side of the square picture, pixels.
        supersample: samples along each side of a pixel.
        view: pose, framing and light.

    Returns:
        (size, size, 3) uint8 sRGB.
    """
    scene = assemble(face, geometry)
    rotation = view.rotation()
    normals = vertex_normals(scene.vertices, scene.triangles) @ rotation.T
    points = project(scene.vertices, scene.eyes, scene.head_height, view, size * supersample)
    samples = _rasterize(face, geometry, scene, points, normals, size * supersample)
    masks = np.zeros((scene.vertex_start[2], MASKS), np.float32)
    masks[scene.vertices_of("skin")] = geometry.skin_masks
    masks[scene.vertices_of("eyes"), 0] = geometry.eye_occlusion
    mesh = shading.Mesh(
        triangles=scene.triangles,
        material=np.repeat(np.array(_MATERIALS, np.int32), np.diff(scene.triangle_start)),
        normals=normals,
        rest=scene.rest,
        masks=masks,
        shadow=hair_shadow(scene, face, geometry),
        eye_uv=geometry.eye_uv,
        first_eye=scene.vertex_start[1],
    )
    lights = shading.Lights(
        directions=np.array([unit(light.direction) for light in view.lights]),
        intensities=np.array([light.intensity for light in view.lights]),
        ambient=view.ambient,
    )
    style = hair.STYLES[face.hair.style]
    paint = Paint(
        skin=face.skin,
        hair=face.hair.color,
        brow=face.brows.color,
        iris=face.iris,
        shirt=face.shirt,
        beard=face.beard,
        scalp=style.scalp,
        curly=style.curly,
        seed=face.seed,
    )
    place = Place(
        lattice=geometry.noise,
        grooves=geometry.grooves @ np.array(face.grooves, np.float32),
        wrinkled=max(face.grooves) > 0.02,
        eye_y=geometry.landmarks.eye_y,
        mouth_y=geometry.landmarks.mouth_y,
        rotation=rotation,
    )
    frame = hair.strand_frame(style)
    colors = shading.shade(samples, mesh, lights, paint, place, frame)
    return resolve(colors, samples, supersample, view.background, view.exposure)


def _rasterize(
    face: Face, geometry: Geometry, scene: Scene, points: Float64, normals: Float64, side: int
) -> Samples:
    """Find what every sample sees: opaque parts first, then the three hairy ones."""
    samples = empty_samples(side, side)
    opaque = scene.triangle_start[2]
    rasterize(points, scene.triangles[:opaque], 0, samples)
    style = hair.STYLES[face.hair.style]
    window = face.hair.window._replace(front_z=_NO_WINDOW) if style.curly else face.hair.window
    frame = hair.strand_frame(style)
    lifted = points.copy()
    lifted[scene.vertices_of("brows"), 2] += _BROW_LIFT
    lifted[scene.vertices_of("lashes"), 2] += _LASH_LIFT
    kinds = {
        "brows": hair.BROW,
        "lashes": hair.LASH,
        "hair": hair.CURLS if style.curly else hair.STRANDS,
    }
    for part, kind in kinds.items():
        hair.rasterize_hair(
            lifted,
            normals,
            scene.rest,
            scene.edge,
            scene.density,
            scene.triangles[scene.triangles_of(part)],
            scene.triangle_start[PARTS.index(part)],
            kind,
            style.fray,
            face.seed % 1000,
            window,
            frame,
            geometry.noise,
            samples,
        )
    return samples


def photo(face: Face, geometry: Geometry, rng: np.random.Generator, size: int = 128) -> UInt8:
    """Draw the face as a casual photograph shows it.

    Pose, framing, light, white balance, background, shirt, skin grain, sensor noise and JPEG
    quality vary; the person does not.

    Args:
        face: whom to draw.
        geometry: from `load_geometry`.
        rng: source of the variation.
        size: side of the square picture, pixels.

    Returns:
        (size, size, 3) uint8 sRGB.
    """
    azimuth, height = rng.uniform(-1.1, 1.1), rng.uniform(-0.1, 0.8)
    view = View(
        yaw=rng.uniform(-15, 15),
        pitch=rng.uniform(-8, 8),
        roll=rng.uniform(-6, 6),
        zoom=rng.uniform(0.92, 1.12),
        shift=(rng.uniform(-0.04, 0.04), rng.uniform(-0.03, 0.03)),
        lights=(
            Light((np.sin(azimuth), height, np.cos(azimuth)), rng.uniform(0.5, 1.05)),
            Light((-np.sin(azimuth), 0.2, 0.7), rng.uniform(0.1, 0.5)),
            Light((0.0, 0.75, 0.35), 0.15),
        ),
        ambient=_rgb(rng.uniform(0.25, 0.5) * rng.uniform(0.95, 1.05, 3)),
        background=_rgb(rng.uniform(0.05, 0.75) * rng.uniform(0.85, 1.15, 3)),
        exposure=rng.uniform(0.9, 1.2),
    )
    dressed = replace(face, shirt=_rgb(rng.uniform(0.03, 0.5, 3)), seed=int(rng.integers(2**30)))
    pixels = render(dressed, geometry, size, view=view).astype(np.float32)
    pixels *= rng.uniform(0.95, 1.05) * rng.uniform(0.97, 1.03, 3)
    pixels += rng.normal(0, rng.uniform(0, 5), pixels.shape)
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
        file, "JPEG", quality=int(rng.integers(55, 95))
    )
    return np.asarray(Image.open(file))


def _rgb(values: Float64) -> Rgb:
    red, green, blue = (float(v) for v in values)
    return red, green, blue
