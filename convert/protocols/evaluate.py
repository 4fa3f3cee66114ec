"""READ THIS FIRST: from a bundle and published lists to the paper's figures.

::

    lists → names → files → embeddings (int8, convert.corpus) → figures → table
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.audio.logmel import LogMelSpec
from edge.bundle import Bundle, load_bundle
from edge.errors import BundleError, InputError

from ..corpus.embed import embed_items
from ..corpus.plan import Reading
from ..datasets.identities import person_of_folder, read_splits
from ..datasets.item import Item
from ..datasets.voxceleb import find_voxceleb
from .lists import ListFile, find_lists, names_of
from .measure import Figure, measure, person
from .vectors import Vectors, vectors_of

NAMED = 5  # of missing files, in a message


@dataclass(frozen=True, slots=True)
class Options:
    """What is evaluated on what."""

    data: tuple[Path, ...]  # folders with VoxCeleb1 and VGGFace somewhere in them
    lists: Path  # folder of the published lists and tables
    embeddings: Path  # folder they are kept in
    split: str = "test"
    allow_missing: bool = False
    reading: Reading | None = None  # None: as the bundle's front-end suggests
    workers: int = 1
    scheduler: str | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of it."""

    bundle: Bundle
    figures: tuple[Figure, ...]
    missing: Mapping[str, str]  # name → why it has no embedding


def evaluate(path: Path, options: Options) -> Evaluation:
    """Embed every file the lists name with a bundle's int8 encoders and compute the figures.

    Raises:
        BundleError: it breaks the contract or has no face encoder.
        InputError: a list is damaged, or files are missing and that is not allowed.
    """
    bundle = load_bundle(path)
    if not bundle.has("face_encoder"):
        raise BundleError(f"{path}: has no face encoder to compare voices with; import one too")
    identities = read_splits(options.lists)
    person_of = person_of_folder(identities)
    lists = find_lists(options.lists, options.split)
    owners = owners_of(lists, person_of)
    data = find_voxceleb(options.data, identities)
    items = [data.item(name, owner) for name, owner in owners.items()]
    missing = {item.id: "no such file" for item in items if not item.path.is_file()}
    _refuse(missing, len(items), options)
    there = [item for item in items if item.id not in missing]
    if not there:
        raise InputError(f"{_where(options)}: not one of the {len(items)} files is there")
    vectors, failed = embed(bundle, there, options)
    missing |= failed
    _refuse(missing, len(items), options)
    figures = tuple(measure(each, vectors, person_of) for each in lists)
    return Evaluation(bundle, figures, missing)


def owners_of(lists: Sequence[ListFile], person_of: Mapping[str, str]) -> dict[str, str]:
    """Return every name in the lists and whose it is, in the order they come."""
    owners: dict[str, str] = {}
    for listed in lists:
        for name in names_of(listed):
            if name not in owners:
                owners[name] = person(name, person_of, listed)
    return owners


def embed(
    bundle: Bundle, items: Sequence[Item], options: Options
) -> tuple[Vectors, dict[str, str]]:
    """Return the embeddings of items, and of those that have none why."""
    reading = options.reading or reading_of(bundle)
    names = [item.id for item in items]
    folder = options.embeddings / f"{options.split}-{_digest(bundle, reading, names)}"
    corpus = embed_items(
        bundle.path, items, folder,
        workers=options.workers, scheduler=options.scheduler, reading=reading,
    )  # fmt: skip
    return vectors_of(names, corpus.vectors(names)), dict(corpus.failures())


def reading_of(bundle: Bundle) -> Reading:
    """Return how files are read: whole with a published front-end, else as a device does."""
    return "device" if isinstance(bundle.manifest.frontend.spec, LogMelSpec) else "published"


def _refuse(missing: Mapping[str, str], count: int, options: Options) -> None:
    """Raise when files are missing or damaged and that is not allowed."""
    if not missing or options.allow_missing:
        return
    named = ", ".join(f"{name} ({why})" for name, why in list(missing.items())[:NAMED])
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    raise InputError(
        f"{_where(options)}: of {count} files in the lists {len(missing)} cannot be used: "
        f"{named}{more}; --allow-missing leaves them out"
    )


def _where(options: Options) -> str:
    return ", ".join(map(str, options.data))


def _digest(bundle: Bundle, reading: str, names: Iterable[str]) -> str:
    """Return what tells the embeddings of other files or another bundle apart."""
    digest = hashlib.sha256(f"{bundle.manifest.embedding.space_id} {reading}".encode())
    for name in names:
        digest.update(b"\n" + name.encode())
    return digest.hexdigest()[:12]
