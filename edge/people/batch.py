"""Enrols a folder of people: in parallel, each person at once, going on where it was stopped.

What became of every file is kept beside the store (`batch_log`), so that the same
command goes on after an interruption, and reads again only what has changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..errors import ConfigError
from .batch_log import BatchLog, Entry, Refused
from .batch_plan import Planned
from .consent import Consent
from .person import Sample, check_label
from .photo_workers import Outcome, read_photos
from .store import PeopleStore

if TYPE_CHECKING:
    from ..bundle import Bundle


class Progress(Protocol):
    """Is told how far the work is."""

    def __call__(self, people: int, refused: int, /) -> None:
        """Take note of so many more people done and photos refused."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of a folder, this time and before."""

    people: int  # of the folder who are enrolled
    photos: int  # theirs
    refused: tuple[Refused, ...]  # every file that was not enrolled, and why


def enroll_folder(
    plan: Sequence[Planned],
    store: PeopleStore,
    bundle: Bundle,
    log: Path,
    consent: Consent | None,
    workers: int,
    progress: Progress,
) -> Batch:
    """Enrol everybody of a folder; run again, it goes on where it was stopped.

    Args:
        plan: what `plan_folder` returned.
        store: where to; written after each person.
        bundle: whose models are used.
        log: the file that remembers what became of each photo.
        consent: recorded for everybody newly enrolled.
        workers: how many processes read photos.
        progress: told after each person.

    Raises:
        StorageError: store or log cannot be written; whoever was enrolled stays.
        RuntimeUnavailable: nothing installed here can run the models.
    """
    with closing(BatchLog(log, _models(bundle))) as records:
        enrolled = {person.name for person in store.people()}
        todo = []
        for person in plan:
            known = records.find(person)
            if known is None or (known.photos and person.name not in enrolled):
                todo.append(person)
            else:
                progress(1, len(known.refused))
        for person, outcomes in _read(todo, bundle.path, workers):
            entry = _enroll(person, outcomes, store, consent)
            records.add(person, entry)
            progress(1, len(entry.refused))
        entries = [found for person in plan if (found := records.find(person)) is not None]
    return Batch(
        sum(entry.photos > 0 for entry in entries),
        sum(entry.photos for entry in entries),
        tuple(refused for entry in entries for refused in entry.refused),
    )


def _models(bundle: Bundle) -> str:
    """Return what changes when photos would be seen with other eyes."""
    detector = bundle.manifest.models.get("face_detector")
    seen = detector.files["cpu"].sha256 if detector else "no detector"
    return f"{bundle.manifest.embedding.space_id} {seen}"


def _read(
    people: Sequence[Planned], bundle: Path, workers: int
) -> Iterator[tuple[Planned, list[Outcome]]]:
    """Yield each person with what became of their photos, in order."""
    if not people:
        return
    paths = (path for person in people for path in person.photos)
    with closing(read_photos(paths, bundle, workers)) as outcomes:
        for person in people:
            yield person, [next(outcomes) for _ in person.photos]


def _enroll(
    person: Planned, outcomes: Sequence[Outcome], store: PeopleStore, consent: Consent | None
) -> Entry:
    """Store a person's samples in one transaction and say what became of each photo."""
    try:
        check_label("name", person.name)
    except ConfigError as exc:
        return Entry(0, tuple(Refused(str(path), str(exc)) for path in person.photos))
    known = store.find(person.name).id if store.has(person.name) else None
    refused = [] if outcomes else [Refused(person.name, "an empty folder")]
    samples: dict[str, Sample] = {}
    for outcome in outcomes:
        reason = outcome.reason
        if outcome.sample is not None:
            owner = store.owner_of(outcome.sample.digest)
            if owner is not None and owner != known:
                reason = f"the same file is enrolled as {owner}"
            elif outcome.sample.digest in samples:
                reason = "the same file as another of this person's"
            else:
                samples[outcome.sample.digest] = outcome.sample
        if reason:
            refused.append(Refused(str(outcome.path), reason))
    if samples and known is not None:
        store.add_samples(known, tuple(samples.values()))
    elif samples:
        store.add(person.name, tuple(samples.values()), consent)
    return Entry(len(samples), tuple(refused))
