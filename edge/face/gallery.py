"""Enrolled people and the search among them: one private file, read without running anything.

A gallery is a NumPy `.npz` archive without pickles:

    header      JSON as uint8: format, space_id, people as a list of {id, name}
    embeddings  (n, d) float32, unit length
    thumbnails  all PNG files one after the other, uint8
    ends        (n,) int64, where each person's PNG ends in `thumbnails`

Embeddings compare only within the space they were made in; `space_id` names it, and a bundle of
another space refuses the gallery.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import BundleError, ConfigError, StorageError
from ..storage import write_private
from ..types import Float32, Match

FORMAT = 1
LARGEST = 2**30  # bytes unpacked; a bigger file is damaged or hostile
LONGEST_NAME = 80  # characters

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Person:
    """One enrolled person."""

    id: str  # unique in the gallery
    name: str  # printable, 1 to 80 characters
    embedding: Float32  # (d,), unit length
    thumbnail: bytes  # PNG, a few kilobytes


@dataclass(frozen=True, slots=True)
class Gallery:
    """People of one embedding space; immutable, `add` and `remove` return a new one."""

    space_id: str
    people: tuple[Person, ...] = ()

    def match(self, embedding: Float32, top: int) -> tuple[Match, ...]:
        """Rank the `top` people nearest to a unit embedding (d,), best first.

        The score is the cosine; equal scores keep the order of enrolment.
        """
        if not self.people:
            return ()
        products = np.stack([p.embedding for p in self.people]) * embedding
        scores = np.clip(products.sum(axis=1), -1.0, 1.0)  # not BLAS: equal rows, equal sums
        best = np.argsort(-scores, kind="stable")[:top]
        return tuple(
            Match(rank, self.people[i].id, self.people[i].name, float(scores[i]))
            for rank, i in enumerate(best, start=1)
        )

    def add(self, name: str, embedding: Float32, thumbnail: bytes, id: str = "") -> Gallery:
        """Return the gallery with one more person.

        Args:
            name: how results call the person.
            embedding: (d,) unit vector of this gallery's space.
            thumbnail: PNG bytes.
            id: unique; by default the next free of u0001, u0002, ...

        Raises:
            ConfigError: the name or the id is unusable or taken.
        """
        if name in (p.name for p in self.people):
            raise ConfigError(f"'{name}' is enrolled already; run: earsight people remove '{name}'")
        person = Person(id or self._free_id(), name, embedding.astype(np.float32), thumbnail)
        people = (*self.people, person)
        if (fault := _fault(people)) is not None:
            raise ConfigError(f"{fault}; choose another name or id")
        return dataclasses.replace(self, people=people)

    def remove(self, who: str) -> Gallery:
        """Return the gallery without the person of this id or name.

        Raises:
            ConfigError: nobody, or more than one person, is called that.
        """
        found = [p for p in self.people if p.id == who] or [p for p in self.people if p.name == who]
        if len(found) != 1:
            how_many = "nobody" if not found else f"{len(found)} people"
            raise ConfigError(f"'{who}': {how_many} called that; see: earsight people list")
        return dataclasses.replace(self, people=tuple(p for p in self.people if p is not found[0]))

    def _free_id(self) -> str:
        numbers = [int(p.id[1:]) for p in self.people if p.id[:1] == "u" and p.id[1:].isdecimal()]
        return f"u{max(numbers, default=0) + 1:04d}"


def user_gallery_path() -> Path:
    """Return where the people enrolled on this machine are kept."""
    base = os.environ.get("XDG_DATA_HOME", "")
    # the specification: a relative path is invalid and ignored
    folder = Path(base) if Path(base).is_absolute() else Path("~/.local/share").expanduser()
    return folder / "earsight" / "people.gallery"


def sample_gallery_path() -> Path:
    """Return the synthetic people that ship with the package."""
    return Path(__file__).parents[1] / "bundles" / "sample.gallery"


def save_gallery(path: Path, gallery: Gallery) -> None:
    """Write a gallery atomically, mode 0600; the same gallery gives the same bytes.

    Raises:
        StorageError: the disk refused; an old file is untouched.
    """
    header = {
        "format": FORMAT,
        "space_id": gallery.space_id,
        "people": [{"id": p.id, "name": p.name} for p in gallery.people],
    }
    buffer = io.BytesIO()
    np.savez(
        buffer,
        header=np.frombuffer(json.dumps(header).encode(), np.uint8),
        embeddings=np.array([p.embedding for p in gallery.people], np.float32),
        thumbnails=np.frombuffer(b"".join(p.thumbnail for p in gallery.people), np.uint8),
        ends=np.cumsum([len(p.thumbnail) for p in gallery.people], dtype=np.int64),
    )
    write_private(path, buffer.getvalue())


def load_gallery(path: Path, space_id: str | None = None) -> Gallery:
    """Read a gallery, which must have been made in the given embedding space, if one is given.

    Raises:
        StorageError: the file is missing, unreadable or damaged.
        BundleError: it was made by another format or in another space; names both.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise StorageError(
            f"{path}: cannot be read ({exc.strerror}); give a gallery file or enroll people"
        ) from exc
    try:
        arrays = _unpack(content)
        header: dict[str, Any] = json.loads(arrays["header"].tobytes())
        found = header["format"]
        if found != FORMAT:
            raise BundleError(f"{path}: format is {found!r}, this earsight reads {FORMAT}")
        if space_id is not None and header["space_id"] != space_id:
            raise BundleError(
                f"{path}: made in embedding space '{header['space_id']}', the bundle's is "
                f"'{space_id}'; enroll again with this bundle"
            )
        people = _people(header["people"], arrays)
    except BundleError:
        raise
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as exc:
        raise StorageError(
            f"{path}: not a gallery, or damaged; restore a copy or enroll again"
        ) from exc
    return Gallery(header["space_id"], people)


def _unpack(content: bytes) -> Arrays:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(member.file_size for member in archive.infolist()) > LARGEST:
            raise ValueError("larger than any gallery")
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("compressed")  # never by us: a small file that unpacks to a huge one
        if archive.testzip() is not None:
            raise ValueError("a checksum is wrong")  # NumPy reads without looking at them
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in ("header", "embeddings", "thumbnails", "ends")}


def _people(
    entries: list[dict[str, str]], arrays: dict[str, np.ndarray[Any, Any]]
) -> tuple[Person, ...]:
    if not entries:
        return ()
    embeddings, thumbnails, ends = arrays["embeddings"], arrays["thumbnails"], arrays["ends"]
    if embeddings.dtype != np.float32 or embeddings.ndim != 2 or ends.shape != (len(entries),):
        raise ValueError("arrays of the wrong shape")
    starts = [0, *ends[:-1].tolist()]
    people = tuple(
        Person(entry["id"], entry["name"], vector, thumbnails[start:end].tobytes())
        for entry, vector, start, end in zip(
            entries, embeddings, starts, ends.tolist(), strict=True
        )
    )
    if (fault := _fault(people)) is not None:
        raise ValueError(fault)
    return people


def _fault(people: tuple[Person, ...]) -> str | None:
    """Return the first rule that these people break, or None."""
    shape = people[0].embedding.shape
    seen: set[str] = set()
    for person in people:
        for what, text in (("name", person.name), ("id", person.id)):
            if not _usable(text):
                return f"{what} {text!r}: not 1 to {LONGEST_NAME} printable characters"
        if person.id in seen:
            return f"id '{person.id}': used twice"
        if person.embedding.shape != shape or person.embedding.ndim != 1:
            return f"'{person.name}': an embedding of another size than the others"
        if not abs(float(np.linalg.norm(person.embedding)) - 1.0) < 1e-3:  # also NaN
            return f"'{person.name}': the embedding is not a unit vector"
        seen.add(person.id)
    return None


def _usable(text: object) -> bool:
    return (
        isinstance(text, str)
        and 1 <= len(text.strip()) <= len(text) <= LONGEST_NAME
        and text.isprintable()
    )
