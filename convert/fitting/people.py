"""People with voices and faces, as a training recipe draws from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge.errors import InputError

from ..datasets.item import Item


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody's files."""

    name: str
    voices: tuple[Item, ...]  # one at least
    faces: tuple[Item, ...]  # one at least


def people_of(items: Iterable[Item]) -> tuple[Person, ...]:
    """Return the people who have both voices and faces, in the order they come.

    Raises:
        InputError: fewer than two have.
    """
    found: dict[str, tuple[list[Item], list[Item]]] = {}
    for item in items:
        voices, faces = found.setdefault(item.person, ([], []))
        (voices if item.kind == "voice" else faces).append(item)
    people = tuple(
        Person(name, tuple(voices), tuple(faces))
        for name, (voices, faces) in found.items()
        if voices and faces
    )
    if len(people) < 2:
        raise InputError(
            f"of {len(found)} people {len(people)} have both a voice and a face; two are needed"
        )
    return people


def digest_of(people: Sequence[Person]) -> str:
    """Return what tells these people from others, 16 hexadecimal digits.

    Their files do not count: a damaged one may be removed from a data set in the middle of a run.
    """
    names = "\n".join(person.name for person in people)
    return hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest()[:16]
