"""Renders everybody's faces to disk: parallel, resumable, each person from their own seed."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from edge.storage import write_private
from edge.types import Float32, UInt8

from ..parallel import each
from .law import Person

SHARD = 40  # people per file


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures of some people, in the order of `ids`."""

    ids: tuple[str, ...]
    canonical: UInt8  # (n, 128, 128, 3)
    photos: UInt8  # (n, k, 128, 128, 3)


@dataclass(frozen=True, slots=True)
class TypicalPictures:
    """Renderings of the typical person."""

    female: Float32  # (n,) 0..1
    years: Float32  # (n,)
    size: Float32  # (n,)
    images: UInt8  # (n, 128, 128, 3)


@dataclass(frozen=True, slots=True)
class PeopleShard:
    """One file of people to render."""

    path: Path
    people: tuple[Person, ...]
    photos: int  # of each
    geometry: Path


@dataclass(frozen=True, slots=True)
class TypicalShard:
    """One file of typical persons to render."""

    path: Path
    start: int  # index of the first
    count: int
    seed: int
    geometry: Path


Shard = TypeVar("Shard", PeopleShard, TypicalShard)


def render_people(
    people: Sequence[Person], photos: int, folder: Path, geometry: Path, workers: int
) -> None:
    """Render a canonical portrait and `photos` photos of each person into shards under `folder`.

    Shards that exist are kept; the pictures of one person depend on that person alone.
    """
    groups = [tuple(people[i : i + SHARD]) for i in range(0, len(people), SHARD)]
    shards = [PeopleShard(folder / f"{g[0].id}.npz", g, photos, geometry) for g in groups]
    _render(_render_people, shards, workers, f"faces ({folder.name})")


def load_pictures(folder: Path) -> Pictures:
    """Read every shard that `render_people` wrote."""
    loaded = [np.load(path) for path in sorted(folder.glob("*.npz"))]
    return Pictures(
        tuple(str(i) for shard in loaded for i in shard["ids"]),
        np.concatenate([shard["canonical"] for shard in loaded]),
        np.concatenate([shard["photos"] for shard in loaded]),
    )


def render_typical(count: int, seed: int, folder: Path, geometry: Path, workers: int) -> None:
    """Render `count` typical persons over sex, age and size into shards under `folder`."""
    shards = [
        TypicalShard(folder / f"{i:06d}.npz", i, min(SHARD, count - i), seed, geometry)
        for i in range(0, count, SHARD)
    ]
    _render(_render_typical, shards, workers, "faces (typical)")


def load_typical(folder: Path) -> TypicalPictures:
    """Read every shard that `render_typical` wrote."""
    loaded = [np.load(path) for path in sorted(folder.glob("*.npz"))]
    return TypicalPictures(
        *(
            np.concatenate([shard[name] for shard in loaded])
            for name in ("female", "years", "size", "images")
        )
    )


def _render(
    render: Callable[[Shard], None], shards: Sequence[Shard], workers: int, title: str
) -> None:
    from tqdm import tqdm

    todo = [shard for shard in shards if not shard.path.exists()]
    done = len(shards) - len(todo)
    with tqdm(total=len(shards), initial=done, desc=title, unit="shard", smoothing=0.05) as bar:
        for _ in each(render, todo, workers):
            bar.update()


def _render_people(shard: PeopleShard) -> None:
    from .faces.appearance import draw_face
    from .faces.geometry import load_geometry
    from .faces.render import photo, render

    heads = load_geometry(shard.geometry)
    canonical, shots = [], []
    for person in shard.people:
        face = draw_face(person, heads)
        canonical.append(render(face, heads))
        rngs = [np.random.default_rng([person.seed, 77, k]) for k in range(shard.photos)]
        shots.append([photo(face, heads, rng) for rng in rngs])
    ids = np.array([person.id for person in shard.people])
    _save(shard.path, ids=ids, canonical=np.array(canonical), photos=np.array(shots))


def _render_typical(shard: TypicalShard) -> None:
    from .faces.appearance import typical_face
    from .faces.geometry import load_geometry
    from .faces.render import render

    heads = load_geometry(shard.geometry)
    n = shard.count
    rng = np.random.default_rng([shard.seed, 41, shard.start])
    female = rng.choice(3, n, p=[0.4, 0.2, 0.4]) / 2.0
    years = np.where(rng.random(n) < 0.3, rng.uniform(4, 20, n), rng.uniform(16, 90, n))
    size = rng.uniform(-2.2, 2.2, n)
    images = [
        render(typical_face(float(f), float(y), float(s)), heads)
        for f, y, s in zip(female, years, size, strict=True)
    ]
    _save(
        shard.path,
        female=female.astype(np.float32),
        years=years.astype(np.float32),
        size=size.astype(np.float32),
        images=np.array(images),
    )


def _save(path: Path, **arrays: np.ndarray) -> None:  # type: ignore[type-arg]
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_private(path, buffer.getvalue())
