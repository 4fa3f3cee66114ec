"""From a person to a face: what follows the person's latents, and what is drawn independently.

Sex, age and size come from the law that voice and face share (`population.law`). Skin, hair,
eyes and detail shape are drawn from the person's seed and are independent of the voice. Their
frequencies and correlations are hand-set for variety; they are not statistics of any population.
Signs of age (grooves, spots, gray) vary little at one age: how much older or younger than their
years people look is in the law already, and would be counted twice.
"""

from __future__ import annotations

import numpy as np

from ..law import Person
from .face import Brows, Face, FaceWindow, Grooves, Hair, Rgb, Skin
from .geometry import Geometry
from .morph import makehuman_age, oldness
from .palette import (
    GRAY_HAIR,
    HAIR_ALBEDO,
    HAIR_COLORS,
    IRIS_COLORS,
    SHIRTS,
    brow_color,
    scaled,
)
from .sliders import MEAN, SIZE_SLIDERS, childhood, mean_sliders, random_sliders, set_size

FIRST_YEAR, LAST_YEAR = 4.0, 90.0  # the law's range, where the morphs look right
CHILD_UNTIL = 13.0  # years; younger typical faces have the children's hair
ANDROGYNOUS = (0.35, 0.65)  # P(female) between which the typical face takes no side
SEX_FREE_HAIR = 0.30  # share of people whose hair says nothing about their sex (an assumption)
SHAPE_LIMIT = {"head/head-diamond": 0.2, "head/head-oval": 0.2}  # more makes a pointed skull
_STREAM = 0xFACE  # keeps these draws apart from others made from the person's seed

ANY_STYLE = (
    "short01", "short02", "short04", "short03", "bob01", "bob02", "long01", "ponytail01",
    "braid01", "buzz",
)  # fmt: skip
WOMENS_BROWS = ("001", "002", "003", "005", "006", "010", "011")
MENS_BROWS = ("001", "002", "003", "004", "005", "006", "007", "008", "009", "010")
TYPICAL_HAIR: Rgb = (0.045, 0.027, 0.016)
TYPICAL_WINDOW = FaceWindow(0.0, 6.90, 0.68, 1.05, 0.6, 0.0, 5.49)


def draw_face(person: Person, geometry: Geometry) -> Face:
    """Return the person's face; a pure function of the person."""
    rng = np.random.default_rng([person.seed, _STREAM])
    years = float(np.clip(person.face_years, FIRST_YEAR, LAST_YEAR))
    child = person.age_class == "child"
    male = person.male
    age = makehuman_age(years)
    old = oldness(age)
    masculine = float(np.clip(rng.normal(0.86, 0.10), 0.55, 1.0))
    african, asian, caucasian = (float(r) for r in rng.dirichlet((0.35, 0.35, 0.35)))
    sliders = random_sliders(geometry.sliders, years, rng)
    set_size(sliders, person.size, years, rng)
    pigment = str(
        rng.choice(list(HAIR_COLORS), p=(0.08, 0.27, 0.27, 0.17, 0.14, 0.07))
        if rng.random() < 0.95 * caucasian
        else rng.choice(("black", "dark brown"), p=(0.75, 0.25))
    )
    grown = np.array(HAIR_COLORS[pigment]) * rng.uniform(0.75, 1.35)
    gray = float(np.clip(grayness(old) + rng.normal(0, 0.07), 0, 1)) if old > 0 else 0.0
    color = grown * (1 - gray) + np.array(GRAY_HAIR) * rng.uniform(0.7, 1.2) * gray
    style = _draw_style(rng, male, child, old, african, float(color.mean()) < 0.06)
    iris = str(
        rng.choice(("blue", "green", "gray", "hazel"), p=(0.42, 0.20, 0.18, 0.20))
        if rng.random() < 0.62 * caucasian
        else rng.choice(("brown", "dark"))
    )
    lipstick = 0.5 if not male and not child and rng.random() < 1 / 3 else 0.0
    stubble = float(rng.choice((0.12, 0.3, 0.55, 0.9), p=(0.45, 0.25, 0.15, 0.15)))
    build = 0.16 - 0.05 * max(childhood(years), min(1.0, 2 * old))
    return Face(
        male=masculine if male else 1.0 - masculine,
        age=age,
        race=(african, asian, caucasian),
        weight=float(np.clip(rng.normal(0.48, build), 0.15, 0.9)),
        muscle=float(np.clip(rng.normal(0.5, 0.13), 0.2, 0.8)),
        sliders=sliders,
        targets=_draw_targets(geometry, rng),
        skin=_draw_skin(rng, (african, asian, caucasian), years, old, lipstick),
        grooves=_draw_grooves(rng, 1.0 - childhood(years), old),
        hair=Hair(
            style, scaled(color, HAIR_ALBEDO), rng.uniform(0.88, 1.12), _draw_window(geometry, rng)
        ),
        brows=Brows(
            "eyebrow" + str(rng.choice(MENS_BROWS if male else WOMENS_BROWS)),
            rng.uniform(0.6, 1.0) if male else rng.uniform(0.5, 0.9),
            brow_color(grown, gray),
        ),
        lash_density=0.5 if male else 0.75,
        beard=beard_growth(years) * stubble * rng.uniform(0.7, 1.1) * (1 - 0.5 * asian)
        if male and not child
        else 0.0,
        iris=scaled(np.array(IRIS_COLORS[iris]), rng.uniform(0.8, 1.2)),
        shirt=scaled(np.array(SHIRTS[int(rng.integers(len(SHIRTS)))]), rng.uniform(0.8, 1.2)),
        seed=int(rng.integers(2**30)),
    )


def beard_growth(years: float) -> float:
    """Return 0 up to 14 years and 1 from 19 years on: how much of a beard can grow."""
    return float(np.interp(years, (14.0, 19.0), (0.0, 1.0)))


def grayness(old: float) -> float:
    """Return the usual share of gray hair, 0..1: none at 35 years, half at 59, all at 83."""
    return float(np.clip((old - 0.15) * 1.35, 0.0, 1.0))


def typical_face(female: float, years: float, size: float) -> Face:
    """Return the one stated typical person, who varies only in what a voice carries.

    Skin, eyes, brows, shirt and light are fixed. Nothing is ever a mixture of two hair styles:
    children have one style for all, adults a man's, a woman's, or, between ANDROGYNOUS, a unisex
    one with an even gender factor and no beard.

    Args:
        female: probability 0..1 that the voice is a woman's (or a girl's).
        years: age, clipped to 4..90.
        size: the law's size axis, standard deviations.
    """
    years = float(np.clip(years, FIRST_YEAR, LAST_YEAR))
    low, high = ANDROGYNOUS
    age = makehuman_age(years)
    old = oldness(age)
    adult = 1.0 - childhood(years)
    if years < CHILD_UNTIL:
        style = "short02"
    else:
        style = "short04" if female < low else "short02" if female <= high else "bob02"
    gray = grayness(old)
    color = np.array(TYPICAL_HAIR) * (1 - gray) + np.array(GRAY_HAIR) * gray
    sliders = mean_sliders((*MEAN, *SIZE_SLIDERS), years)
    set_size(sliders, size, years, None)
    return Face(
        male=float(np.interp(female, (0.0, low, high, 1.0), (0.88, 0.5, 0.5, 0.12))),
        age=age,
        race=(0.25, 0.25, 0.5),
        weight=0.48,
        muscle=0.5,
        sliders=sliders,
        targets={},
        skin=Skin(0.20, 0.26, 0.35, 0.0, 0.5 * old, 0.35, 0.45, 1.0, old),
        grooves=Grooves(
            old**1.2 * 0.6, old * 0.65, adult * 0.10 + old * 0.6, adult * 0.05 + old * 0.65
        ),
        hair=Hair(style, scaled(color, HAIR_ALBEDO), 1.0 - 0.12 * childhood(years), TYPICAL_WINDOW),
        brows=Brows(
            "eyebrow002",
            float(np.interp(female, (0.0, 1.0), (0.80, 0.65))),
            brow_color(np.array(TYPICAL_HAIR), gray),
        ),
        lash_density=0.65,
        beard=0.15 * beard_growth(years) * float(np.interp(female, (0.0, low), (1.0, 0.0))),
        iris=(0.10, 0.055, 0.028),
        shirt=(0.12, 0.18, 0.28),
        seed=12345,
    )


def _draw_skin(
    rng: np.random.Generator,
    race: tuple[float, float, float],
    years: float,
    old: float,
    lipstick: float,
) -> Skin:
    """Return pigments and texture; melanin and yellow follow MakeHuman's race weights."""
    african, asian, caucasian = race
    melanin = african * rng.uniform(0.50, 0.95)
    melanin += asian * rng.uniform(0.08, 0.30) + caucasian * rng.uniform(-0.02, 0.16)
    return Skin(
        melanin=float(np.clip(melanin, -0.03, 1.0)),
        blood=rng.uniform(0.12, 0.40) - 0.10 * asian,
        yellow=asian * rng.uniform(0.3, 0.9) + caucasian * rng.uniform(0, 0.5) + 0.4 * african,
        freckles=max(0.0, rng.normal(-0.2, 0.5)) * caucasian * (1 - 0.4 * old),
        age_spots=old * rng.uniform(0.4, 0.9),
        blush=rng.uniform(0.15, 0.6),
        lips=rng.uniform(0.3, 0.7) * (1 - 0.2 * childhood(years)) + lipstick,
        roughness=rng.uniform(0.8, 1.2),
        old=old,
    )


def _draw_grooves(rng: np.random.Generator, adult: float, old: float) -> Grooves:
    return Grooves(
        forehead=old**1.2 * rng.uniform(0.5, 0.7),
        crows_feet=old * rng.uniform(0.55, 0.75),
        mouth=adult * (0.12 + old * rng.uniform(0.5, 0.7)),
        eye_bags=adult * (0.06 + old * rng.uniform(0.55, 0.75)),
    )


def _draw_style(
    rng: np.random.Generator, male: bool, child: bool, old: float, african: float, dark: bool
) -> str:
    """Return a hair style; for 30 % of people it is drawn without regard to their sex."""
    if rng.random() < SEX_FREE_HAIR:
        return str(rng.choice(ANY_STYLE))
    if male and old > 0.5:
        styles = ["short04", "short04", "short02", "short01", "bald", "buzz" if dark else "short01"]
    elif male:
        styles = ["short01", "short01", "short02", "short04", "short04"]
        styles.append("buzz" if dark else "short04")
        styles.append("afro01" if african > 0.4 else "short02")
        styles.append("bald" if not child and rng.random() < 0.5 else "short02")
    elif old > 0.5:
        styles = ["bob02", "short03", "bob01", "bob02", "ponytail01", "short04"]
    else:
        styles = ["bob01", "bob02", "bob02", "long01", "ponytail01", "braid01", "short03"]
        styles.append("afro01" if african > 0.4 else "long01")
    return str(rng.choice(styles))


def _draw_targets(geometry: Geometry, rng: np.random.Generator) -> dict[str, float]:
    """Return two head shapes and a little asymmetry."""
    shapes = rng.choice(geometry.head_shapes, 2, replace=False)
    targets = {str(name): rng.uniform(0, SHAPE_LIMIT.get(str(name), 0.45)) for name in shapes}
    for name in rng.choice(geometry.asymmetries, 8, replace=False):
        targets[str(name)] = abs(rng.normal(0, 0.14))
    return targets


def _draw_window(geometry: Geometry, rng: np.random.Generator) -> FaceWindow:
    """Return a face window: it decides fringe and length, most of a style's variety."""
    mouth = geometry.landmarks.mouth_y
    return FaceWindow(
        center_x=rng.uniform(-0.06, 0.06),
        center_y=geometry.landmarks.eye_y - 0.45,
        radius_x=0.72,
        radius_y=rng.uniform(0.86, 1.12),
        front_z=0.6,
        tilt=rng.uniform(-0.25, 0.25),
        cut_y=rng.uniform(mouth - 1.6, mouth - 0.3) if rng.random() < 0.6 else -9.0,
    )
