"""The people that voices are matched with: an immutable snapshot of a store, or a published file.

A person is looked for by their photos and by their voice separately, because scores of the two are
of different sizes; `Scale` brings them together.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from ..people.flat_index import FlatIndex
from ..people.person import Kind, check_label
from ..types import Float32, Match

Owners = npt.NDArray[np.intp]


class Listed(Protocol):
    """What every person of a gallery has; a store's are read when they are wanted."""

    @property
    def id(self) -> str:
        """Unique in the gallery."""

    @property
    def name(self) -> str:
        """Printable, 1 to 80 characters."""

    @property
    def embedding(self) -> Float32:
        """Mean direction (d,) of their samples."""

    @property
    def thumbnail(self) -> bytes:
        """PNG, a few kilobytes; b"" for somebody known by voice only."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person of a published gallery."""

    id: str  # unique in the gallery
    name: str  # printable, 1 to 80 characters
    embedding: Float32  # (d,), unit length
    thumbnail: bytes  # PNG, a few kilobytes


@dataclass(frozen=True, slots=True)
class Scale:
    """How surprising cosines with one kind of sample are, so that kinds can be compared.

    Piecewise linear; by default a cosine is its own surprise.
    """

    cosines: tuple[float, ...] = (-1.0, 1.0)  # rising
    surprises: tuple[float, ...] = (-1.0, 1.0)  # rising; any unit that all kinds share

    def surprise(self, cosine: float) -> float:
        """Return how surprising a stranger's cosine would be."""
        return float(np.interp(cosine, self.cosines, self.surprises))


class Index(Protocol):
    """What finds the rows nearest to a query, exactly or, in an engine of its own, nearly so."""

    def nearest(self, query: Float32, top: int) -> tuple[Owners, Float32]:
        """Return rows by falling cosine, and the cosines."""

    def __len__(self) -> int:
        """Return the number of rows."""


@dataclass(frozen=True, slots=True)
class Rows:
    """One kind of samples, a row for each person who has some: their mean direction."""

    kind: Kind
    index: Index
    owners: Owners  # (rows,) positions in `Gallery.people`


@dataclass(frozen=True, slots=True)
class Gallery:
    """People of one embedding space; immutable, `add` and `remove` return a new one."""

    space_id: str
    people: Sequence[Listed] = ()
    rows: tuple[Rows, ...] = field(default=(), repr=False, compare=False)  # () makes photos' own
    dim: int = 0  # of the embeddings; 0 reads it from the people
    valid_until_s: float = float("inf")  # when the next consent expires, seconds since 1970
    pictures: Callable[[str], bytes] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index people who come without rows, as those of a published file do.

        Raises:
            ConfigError: their embeddings have several sizes.
        """
        if self.rows or not self.people:
            return
        sizes = {person.embedding.shape for person in self.people}
        if len(sizes) != 1:
            raise ConfigError(f"people have embeddings of several sizes: {sorted(sizes)}")
        vectors = np.stack([person.embedding for person in self.people])
        rows = (Rows("photo", FlatIndex(vectors), np.arange(len(self.people))),)
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "dim", vectors.shape[1])

    def match(
        self, embedding: Float32, top: int, scales: Mapping[Kind, Scale] | None = None
    ) -> tuple[Match, ...]:
        """Rank the `top` people nearest to a unit embedding (d,), best first.

        A person with photos and a voice counts by the better of the two. The score is the cosine;
        equal scores keep the order of enrolment.

        Args:
            embedding: of a voice, or of a face to look for.
            top: how many people at most.
            scales: of the query's kind with each kind of sample; by default cosines are compared
                as they are.
        """
        found: list[tuple[float, int, float, Kind]] = []
        for rows in self.rows:
            scale = (scales or {}).get(rows.kind, Scale())
            best, scores = rows.index.nearest(embedding, top)
            for row, score in zip(best.tolist(), scores.tolist(), strict=True):
                found.append((-scale.surprise(score), int(rows.owners[row]), score, rows.kind))
        matches: list[Match] = []
        seen: set[int] = set()
        for _, owner, score, kind in sorted(found):
            if owner not in seen and len(matches) < top:
                seen.add(owner)
                person = self.people[owner]
                matches.append(Match(len(matches) + 1, person.id, person.name, score, kind))
        return tuple(matches)

    def count(self, kind: Kind) -> int:
        """Return how many people have samples of a kind."""
        return sum(len(rows.index) for rows in self.rows if rows.kind == kind)

    def thumbnail(self, person_id: str) -> bytes:
        """Return a person's picture, PNG; b"" for nobody, or somebody known by voice only."""
        if self.pictures is not None:
            return self.pictures(person_id)
        return next((p.thumbnail for p in self.people if p.id == person_id), b"")

    def add(self, name: str, embedding: Float32, thumbnail: bytes, id: str = "") -> Gallery:
        """Return the gallery with one more person, for a file that is published.

        Args:
            name: how results call the person.
            embedding: (d,) unit vector of this gallery's space.
            thumbnail: PNG bytes.
            id: unique; by default the next free of u0001, u0002, ...

        Raises:
            ConfigError: the name or the id is unusable or taken, or it is no such vector.
        """
        if name in (p.name for p in self.people):
            raise ConfigError(f"'{name}' is in the gallery already; choose another name")
        person = Person(id or self._free_id(), name, embedding.astype(np.float32), thumbnail)
        people = (*self.people, person)
        check_people(people)
        return Gallery(self.space_id, people)

    def _free_id(self) -> str:
        numbers = [int(p.id[1:]) for p in self.people if p.id[:1] == "u" and p.id[1:].isdecimal()]
        return f"u{max(numbers, default=0) + 1:04d}"


def check_people(people: Sequence[Listed]) -> None:
    """Hold the people of a gallery to its rules.

    Raises:
        ConfigError: names the first rule that is broken.
    """
    seen: set[str] = set()
    for person in people:
        check_label("name", person.name)
        check_label("id", person.id)
        if person.id in seen:
            raise ConfigError(f"id '{person.id}': used twice; choose another")
        if person.embedding.shape != people[0].embedding.shape or person.embedding.ndim != 1:
            raise ConfigError(f"'{person.name}': an embedding of another size than the others")
        if not abs(float(np.linalg.norm(person.embedding)) - 1.0) < 1e-3:  # also NaN
            raise ConfigError(f"'{person.name}': the embedding is not a unit vector")
        seen.add(person.id)


def user_gallery_path() -> Path:
    """Return where the people enrolled on this machine are kept."""
    base = os.environ.get("XDG_DATA_HOME", "")
    # the specification: a relative path is invalid and ignored
    folder = Path(base) if Path(base).is_absolute() else Path("~/.local/share").expanduser()
    return folder / "earsight" / "people.gallery"


def sample_gallery_path() -> Path:
    """Return the synthetic people that ship with the package."""
    return Path(__file__).parents[1] / "bundles" / "sample.gallery"
