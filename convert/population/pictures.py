"""Renders everybody's faces to disk: parallel, resumable, each person from their own seed."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from edge.storage import write_private
from edge.types import Float32, UInt8

from .law import Person

SHARD = 40  # people per file
TYPICAL_SHARD = 100


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


def render_people(
    people: Sequence[Person], photos: int, folder: Path, geometry: Path, workers: int
) -> None:
    """Render a canonical portrait and `photos` photos of each person into shards under `folder`.

    Shards that exist are kept; the pictures of one person depend on that person alone.
    """
    shards = [people[i : i + SHARD] for i in range(0, len(people), SHARD)]
    jobs = [
        (_render_shard, (shard, photos, folder / f"{shard[0].id}.npz", geometry), len(shard))
        for shard in shards
        if not (folder / f"{shard[0].id}.npz").exists()
    ]
    _run(jobs, workers, f"faces ({folder.name})", "people", len(people))


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
    starts = range(0, count, TYPICAL_SHARD)
    jobs = [
        (
            _render_typical_shard,
            (start, min(TYPICAL_SHARD, count - start), seed, folder / f"{start:06d}.npz", geometry),
            min(TYPICAL_SHARD, count - start),
        )
        for start in starts
        if not (folder / f"{start:06d}.npz").exists()
    ]
    _run(jobs, workers, "typical faces", "faces", count)


def load_typical(folder: Path) -> TypicalPictures:
    """Read every shard that `render_typical` wrote."""
    loaded = [np.load(path) for path in sorted(folder.glob("*.npz"))]
    return TypicalPictures(
        *(
            np.concatenate([shard[name] for shard in loaded])
            for name in ("female", "years", "size", "images")
        )
    )


Job = tuple[object, tuple[object, ...], int]


def _run(jobs: Iterable[Job], workers: int, title: str, unit: str, total: int) -> None:
    from tqdm import tqdm

    jobs = list(jobs)
    todo = sum(n for _, _, n in jobs)
    if not jobs:
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    bar = tqdm(total=total, initial=total - todo, desc=title, unit=unit, smoothing=0.05)
    with pool, bar:
        futures: dict[Future[None], int] = {pool.submit(f, *args): n for f, args, n in jobs}  # type: ignore[arg-type]
        try:
            for future in as_completed(futures):
                future.result()
                bar.update(futures[future])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _render_shard(people: Sequence[Person], photos: int, path: Path, geometry: Path) -> None:
    from .faces.appearance import draw_face
    from .faces.geometry import load_geometry
    from .faces.render import photo, render

    heads = load_geometry(geometry)
    canonical, shots = [], []
    for person in people:
        face = draw_face(person, heads)
        canonical.append(render(face, heads))
        rngs = [np.random.default_rng([person.seed, 77, k]) for k in range(photos)]
        shots.append([photo(face, heads, rng) for rng in rngs])
    _save(
        path,
        ids=np.array([p.id for p in people]),
        canonical=np.array(canonical),
        photos=np.array(shots),
    )


def _render_typical_shard(start: int, count: int, seed: int, path: Path, geometry: Path) -> None:
    from .faces.appearance import typical_face
    from .faces.geometry import load_geometry
    from .faces.render import render

    heads = load_geometry(geometry)
    rng = np.random.default_rng([seed, 41, start])
    female = rng.choice(3, count, p=[0.4, 0.2, 0.4]) / 2.0
    years = np.where(rng.random(count) < 0.3, rng.uniform(4, 20, count), rng.uniform(16, 90, count))
    size = rng.uniform(-2.2, 2.2, count)
    images = [
        render(typical_face(float(f), float(y), float(s)), heads)
        for f, y, s in zip(female, years, size, strict=True)
    ]
    _save(
        path,
        female=female.astype(np.float32),
        years=years.astype(np.float32),
        size=size.astype(np.float32),
        images=np.array(images),
    )


def _save(path: Path, **arrays: np.ndarray) -> None:  # type: ignore[type-arg]
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_private(path, buffer.getvalue())
