"""`earsight enroll`: somebody's photos, or a recording of them, or a whole folder of people."""

from __future__ import annotations

import hashlib
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ..bundle import Bundle
from ..cli import report
from ..errors import EarsightError, InputError, RuntimeUnavailable
from ..face.camera import is_camera, take_photos
from ..face.photo import from_png, read_file
from ..people.advice import advise
from ..people.batch import Batch, enroll_folder
from ..people.batch_plan import photos_of, plan_folder
from ..people.consent import Consent
from ..people.enrolment import (
    LITTLE_SPEECH_S,
    EnrolledPhoto,
    PhotoEnroller,
    PhotoError,
    enroll_voice,
)
from ..people.person import PersonInfo, Sample, check_label
from ..people.photo_workers import usable_cores
from ..people.store import PeopleStore
from ..sinks.terminal import printable
from ..storage import write_private
from .loading import open_bundle, open_people

PURPOSE = "to be recognised by this device"


def enroll(args: Namespace) -> int:
    """Enrol one person or, with --all, a folder of them; the exit code is of the first refusal."""
    _check(args)
    bundle = open_bundle(args.bundle)
    consent = _consent(args)
    if args.all is None:
        return _enroll_one(args, bundle, consent)
    with open_people(args.gallery, bundle) as store:
        return _enroll_everybody(args, bundle, store, consent)


def _check(args: Namespace) -> None:
    if args.all is not None and (args.name is not None or args.voice or args.out):
        args.wrong_usage("--all FOLDER takes names and photos from the folder, and no others")
    if args.all is None and (args.name is None or not (args.images or args.voice)):
        args.wrong_usage("give NAME and photos, NAME and --voice FILE, or --all FOLDER")
    if args.name is not None:
        check_label("name", args.name)
    if args.consent_by is None and (args.purpose or args.expires):
        args.wrong_usage("--purpose and --expires need --consent-by")


def _consent(args: Namespace) -> Consent | None:
    if args.consent_by is None:
        return None
    return Consent(args.consent_by, datetime.now(UTC), args.purpose or PURPOSE, args.expires)


def _enroll_one(args: Namespace, bundle: Bundle, consent: Consent | None) -> int:
    refusals: list[int] = []
    photos = _photos(args, bundle, refusals) if args.images else []
    voices = _voices(args, bundle, refusals)
    samples = [photo.sample for photo in photos] + voices
    if not samples:
        return refusals[0]
    with open_people(args.gallery, bundle) as store:  # not before: it makes the file
        known = [*_earlier(args.name, store)] if photos else []
        print(_stored(args, store, samples, consent))
    for line in advise(photos, known) if photos else ():
        print(f"  {printable(line)}")
    return refusals[0] if refusals else 0


def _photos(args: Namespace, bundle: Bundle, refusals: list[int]) -> list[EnrolledPhoto]:
    """Return the photos that can be used; the others are reported and `refusals` says how."""
    enroller = PhotoEnroller(bundle)
    if not enroller.detects:
        print(
            "this bundle has no face detector: each photo must show one face, centred and upright, "
            "eyes halfway down, crown to chin three quarters of the height"
        )
    found = []
    for name, content in _contents(args.images, refusals):
        try:
            found.append(enroller.enroll(content, name))
        except InputError as exc:
            refusals.append(report(exc))
            if isinstance(exc, PhotoError) and args.out is not None:
                path = args.out / f"{Path(name).stem}-refused.png"
                write_private(path, exc.seen)
                print(f"  what was seen: {printable(str(path))}", file=sys.stderr)
    return found


def _contents(items: list[Path], refusals: list[int]) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of each photo of files, folders and cameras."""
    for item in items:
        if is_camera(item):
            for number, content in enumerate(take_photos(item), start=1):
                yield f"{item} photo {number}", content
            continue
        paths = photos_of(item) if item.is_dir() else (item,)
        if not paths:
            refusals.append(report(InputError(f"{item}: an empty folder; put photos into it")))
        for path in paths:
            try:
                yield str(path), read_file(path)
            except InputError as exc:
                refusals.append(report(exc))


def _voices(args: Namespace, bundle: Bundle, refusals: list[int]) -> list[Sample]:
    found = []
    for path in args.voice:
        try:
            voice = enroll_voice(path, bundle)
        except InputError as exc:
            refusals.append(report(exc))
            continue
        found.append(voice.sample)
        if voice.speech_s < LITTLE_SPEECH_S:
            print(
                f"{printable(str(path))}: {voice.speech_s:.1f} s of speech; "
                f"{LITTLE_SPEECH_S:.0f} s or more tell a voice more surely"
            )
    return found


def _stored(
    args: Namespace, store: PeopleStore, samples: list[Sample], consent: Consent | None
) -> str:
    """Store the samples, of somebody new or of somebody known, and return what was done."""
    for sample in samples:
        owner = store.owner_of(sample.digest)
        if owner is not None and store.find(owner).name != args.name:
            print(f"  note: one of these files is also enrolled as {owner}")
    if store.has(args.name):
        before = store.find(args.name)
        person = store.add_samples(before.id, samples)
        if consent is not None:
            person = store.set_consent(before.id, consent)
        added = person.photos + person.voices - before.photos - before.voices
        return f"{args.name} is {person.id}: {added} added, now {_counts(person)} in {store.path}"
    person = store.add(args.name, samples, consent)
    return f"{args.name} is {person.id}, with {_counts(person)}, in {store.path}"


def _earlier(name: str, store: PeopleStore) -> Iterator[EnrolledPhoto]:
    """Yield the photos that a person has already."""
    if store.has(name):
        for number, sample in enumerate(store.samples(name), start=1):
            if sample.kind == "photo" and sample.crop:
                yield EnrolledPhoto(f"enrolled photo {number}", sample, from_png(sample.crop))


def _counts(person: PersonInfo) -> str:
    parts = []
    if person.photos:
        parts.append(f"{person.photos} photo{'s' * (person.photos != 1)}")
    if person.voices:
        parts.append(f"{person.voices} recording{'s' * (person.voices != 1)}")
    return " and ".join(parts)


def _enroll_everybody(
    args: Namespace, bundle: Bundle, store: PeopleStore, consent: Consent | None
) -> int:
    try:
        from tqdm import tqdm
    except ImportError as exc:
        raise RuntimeUnavailable(
            "showing progress needs tqdm; run: pip install 'earsight[device]'"
        ) from exc
    plan = plan_folder(args.all)
    folder = hashlib.sha256(os.fsencode(args.all.resolve())).hexdigest()[:8]
    log = store.path.with_name(f"{store.path.stem}.{folder}.enrolled.jsonl")
    refused = 0
    with tqdm(total=len(plan), unit="person", smoothing=0.05, dynamic_ncols=True) as bar:

        def progress(people: int, more: int) -> None:
            nonlocal refused
            refused += more
            bar.set_postfix(refused=refused, refresh=False)
            bar.update(people)

        try:
            workers = args.workers or usable_cores()
            batch = enroll_folder(plan, store, bundle, log, consent, workers, progress)
        except (KeyboardInterrupt, EarsightError):
            bar.write("stopped; the same command goes on from here", file=sys.stderr)
            raise
    return _summary(batch, store)


def _summary(batch: Batch, store: PeopleStore) -> int:
    """Print every refused file with its reason, then the totals; refusals make the exit code 6."""
    for refused in batch.refused:
        print(f"refused {printable(refused.file)}: {printable(refused.reason)}")
    print(
        f"{batch.people} people with {batch.photos} photos are enrolled, "
        f"{len(batch.refused)} files refused, in {store.path}"
    )
    return InputError.exit_code if batch.refused else 0
