"""Pictures with one rendered head somewhere in them, held in a known way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge.face.align import Head
from edge.types import UInt8

from ..parallel import each
from ..population.faces.geometry import Geometry
from ..population.law import draw_person

SHARD = 50  # scenes drawn by one call


@dataclass(frozen=True, slots=True)
class PoseRange:
    """How far heads are turned at most, degrees to each side."""

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class SceneRange:
    """What scenes vary in."""

    poses: PoseRange
    frontal: bool  # poses are normal, the range 2.5 standard deviations; else uniform
    side: int  # of the square picture, pixels
    smallest: float  # crown to chin at least, share of the picture; uniform in the logarithm
    largest: float


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture and the head in it."""

    picture: UInt8  # (side, side, 3) sRGB
    head: Head


@dataclass(frozen=True, slots=True)
class _Shard:
    """Some scenes to draw."""

    span: SceneRange
    start: int
    count: int
    geometry: Path
    seed: int


def draw_scenes(
    span: SceneRange, count: int, geometry: Path, seed: int, workers: int
) -> Iterator[Scene]:
    """Yield scenes, each of another synthetic person, who are in no population of a bundle.

    Args:
        span: within which everything is drawn.
        count: how many.
        geometry: the head geometry pack.
        seed: of people and scenes.
        workers: processes that draw.
    """
    shards = [
        _Shard(span, start, min(SHARD, count - start), geometry, seed)
        for start in range(0, count, SHARD)
    ]
    for scenes in each(_draw_shard, shards, workers):
        yield from scenes


def _draw_shard(shard: _Shard) -> list[Scene]:
    from ..population.faces.geometry import load_geometry

    heads = load_geometry(shard.geometry)
    numbers = range(shard.start, shard.start + shard.count)
    return [_draw(shard, number, heads) for number in numbers]


def _draw(shard: _Shard, number: int, geometry: Geometry) -> Scene:
    """Draw a person in a pose, place, size, light and before a ground of the scene's own."""
    from ..population.faces.appearance import draw_face
    from ..population.faces.render import render
    from ..population.faces.view import EYE_ROW, HEAD_SHARE, Light, View

    span, poses = shard.span, shard.span.poses
    rng = np.random.default_rng([shard.seed, 3, number])
    yaw, pitch, roll = (
        float(np.clip(rng.normal(0.0, r / 2.5), -r, r) if span.frontal else rng.uniform(-r, r))
        for r in (poses.yaw, poses.pitch, poses.roll)
    )
    share = float(np.exp(rng.uniform(np.log(span.smallest), np.log(span.largest))))
    room = 0.35 * max(0.0, 1.0 - share)
    right, down = float(rng.uniform(-room, room)), float(rng.uniform(-room, room))
    azimuth, height = rng.uniform(-1.2, 1.2), rng.uniform(-0.2, 0.9)
    view = View(
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        zoom=share / HEAD_SHARE,
        shift=(right, down),
        lights=(
            Light((np.sin(azimuth), height, np.cos(azimuth)), rng.uniform(0.4, 1.1)),
            Light((-np.sin(azimuth), 0.2, 0.7), rng.uniform(0.05, 0.5)),
            Light((0.0, 0.75, 0.35), 0.15),
        ),
        background=_colour(rng, 0.02, 0.85),
        exposure=rng.uniform(0.8, 1.2),
    )
    person = draw_person("face_only", number, shard.seed)
    face = replace(draw_face(person, geometry), shirt=_colour(rng, 0.03, 0.6))
    picture = render(face, geometry, span.side, supersample=2, view=view)
    noisy = picture + rng.normal(0, rng.uniform(0, 6), picture.shape)
    x, y = span.side * (0.5 + right), span.side * (EYE_ROW + down)
    head = Head(x, y, span.side * share, yaw, pitch, roll)
    return Scene(noisy.clip(0, 255).astype(np.uint8), head)


def _colour(rng: np.random.Generator, low: float, high: float) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in rng.uniform(low, high) * rng.uniform(0.8, 1.2, 3))
    return red, green, blue
