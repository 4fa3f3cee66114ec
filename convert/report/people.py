"""The people of the test split, with their sound and pictures, and nobody else's.

Read shard by shard, because the whole population is several gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.errors import ConfigError
from edge.types import UInt8

from ..population.law import Person
from ..population.people import Split, load_people, split_of
from ..recipe import PopulationRecipe

Int16 = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class HeardAndSeen:
    """Some people with everything that was rendered of them; entry i of all is person i."""

    people: tuple[Person, ...]
    clips: tuple[Int16, ...]  # (k, samples) at 16 kHz, k at least 1
    canonical: UInt8  # (n, 128, 128, 3)
    photos: UInt8  # (n, photos, 128, 128, 3)


@dataclass(frozen=True, slots=True)
class Faces:
    """Canonical portraits of some people."""

    people: tuple[Person, ...]
    images: UInt8  # (n, 128, 128, 3)


def load_test_people(work: Path, recipe: PopulationRecipe) -> HeardAndSeen:
    """Read the test split: paired people with at least one clip.

    Raises:
        ConfigError: the work folder has none.
    """
    people = {p.id: p for p in _split(work, recipe, "test")}
    clips: dict[str, list[Int16]] = {}
    for path in sorted((work / "voices").glob("clips_*.npz")):
        with np.load(path) as shard:
            owners = shard["person"]
            rows = np.flatnonzero(np.isin(owners, list(people)))
            if len(rows):
                audio = shard["audio"][rows]
                for owner, sound in zip(owners[rows].tolist(), audio, strict=True):
                    clips.setdefault(owner, []).append(sound)
    pictures = {i: (c, p) for i, c, p in _pictures(work / "faces", set(clips))}
    found = [people[i] for i in people if i in pictures]
    if len(found) < 3:
        raise ConfigError(f"{work}: holds no test people; run: earsight-convert population")
    return HeardAndSeen(
        tuple(found),
        tuple(np.array(clips[p.id]) for p in found),
        np.array([pictures[p.id][0] for p in found]),
        np.array([pictures[p.id][1] for p in found]),
    )


def load_training_faces(work: Path, recipe: PopulationRecipe, most: int) -> Faces:
    """Read the canonical portraits of at most `most` people of the training split."""
    people = {p.id: p for p in _split(work, recipe, "train")[:most]}
    images = {i: c for i, c, _ in _pictures(work / "faces", set(people))}
    found = tuple(people[i] for i in people if i in images)
    return Faces(found, np.array([images[p.id] for p in found]))


def _split(work: Path, recipe: PopulationRecipe, split: Split) -> list[Person]:
    try:
        everybody = load_people(work / "people.jsonl")
    except OSError as exc:
        raise ConfigError(
            f"{work}: no people.jsonl in it; give the work folder the bundle was built in"
        ) from exc
    return [p for p in everybody if p.kind == "paired" and split_of(p, recipe) == split]


def _pictures(folder: Path, wanted: set[str]) -> Iterator[tuple[str, UInt8, UInt8]]:
    """Yield id, canonical portrait and photos of the wanted people."""
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as shard:
            rows = [(k, i) for k, i in enumerate(shard["ids"].tolist()) if i in wanted]
            if rows:
                canonical, photos = shard["canonical"], shard["photos"]
                yield from ((i, canonical[k], photos[k]) for k, i in rows)
