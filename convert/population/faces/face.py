"""The parameters of one face: what the renderer needs, and nothing random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

Rgb = tuple[float, float, float]  # linear reflectance, 0..1


class Skin(NamedTuple):
    """Skin pigments and texture; a NamedTuple so that the shading kernel can take it as it is."""

    melanin: float  # 0 is the lightest, 1 the darkest
    blood: float  # haemoglobin, 0..0.5
    yellow: float  # carotene-like tint, 0..1
    freckles: float  # 0..1
    age_spots: float  # 0..1
    blush: float  # 0..1
    lips: float  # extra redness of the lips, 0..1.2
    roughness: float  # pore depth, 1 is usual
    old: float  # 0 at 25 years or less, 1 at 90


class FaceWindow(NamedTuple):
    """Where hair may not hang: an ellipse before the face, in the canonical head's plane (dm)."""

    center_x: float
    center_y: float
    radius_x: float
    radius_y: float
    front_z: float  # only hair in front of this is cut
    tilt: float  # vertical shear, gives a side-swept fringe
    cut_y: float  # hair below this height is cut off


class Grooves(NamedTuple):
    """Depth of the drawn wrinkles, 0..1."""

    forehead: float
    crows_feet: float
    mouth: float
    eye_bags: float


@dataclass(frozen=True, slots=True)
class Hair:
    """One hair mesh (never a mixture of two), or none."""

    style: str  # a key of `hair.STYLES`
    color: Rgb
    volume: float  # scale of the mesh's distance to the head, 1 is as modelled
    window: FaceWindow


@dataclass(frozen=True, slots=True)
class Brows:
    """Eyebrows; their colour is the beard's too."""

    style: str  # a key of `Geometry.brows`
    density: float  # 0..1
    color: Rgb


@dataclass(frozen=True, slots=True)
class Face:
    """One face; the same Face renders to the same bytes."""

    male: float  # MakeHuman gender factor, 0 woman .. 1 man
    age: float  # MakeHuman age factor: 0 at 1 y, 0.1875 at 10 y, 0.5 at 25 y, 1 at 90 y
    race: tuple[float, float, float]  # MakeHuman's african, asian, caucasian weights, sum 1
    weight: float  # 0..1
    muscle: float  # 0..1
    sliders: Mapping[str, float]  # detail morphs by `Geometry.sliders` name, -1..1
    targets: Mapping[str, float]  # one-sided morphs by target name, 0..1
    skin: Skin
    grooves: Grooves
    hair: Hair
    brows: Brows
    lash_density: float  # 0..1
    beard: float  # 0 none, 0.15 shadow, 0.9 full
    iris: Rgb
    shirt: Rgb
    seed: int  # of the procedural grain
