"""What each `earsight` command does once its arguments are understood."""

from __future__ import annotations

import json
import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .audio.file import stream_recording
from .bundle import Bundle, default_bundle_path, load_bundle
from .cli import report
from .embed.encoder import FaceEncoder
from .errors import InputError
from .face.gallery import (
    Gallery,
    load_gallery,
    sample_gallery_path,
    save_gallery,
    user_gallery_path,
)
from .face.photo import load_face, to_png
from .pipeline import Ear
from .sinks.directory import DirectorySink
from .sinks.terminal import colours_of, describe, draw_portrait, printable
from .types import Recording, Sighting


def hear(args: Namespace) -> int:
    """Hear files; return the exit code of the first that could not be used, else 0."""
    bundle = load_bundle(args.bundle or default_bundle_path())
    gallery = _gallery_to_rank(args.gallery, bundle)
    ear = Ear(bundle, gallery, args.top, args.threads)
    sink = DirectorySink(args.out, gallery, ear.spectrogram) if args.out else None
    utterances: list[dict[str, Any]] = []
    code = 0
    for files in [args.files] if args.join else [[file] for file in args.files]:
        try:
            for sighting in ear.listen(_joined(files)):
                portrait_path = sink.write(sighting) if sink else None
                utterances.append(sighting.as_json(portrait_path))
                if not args.json:
                    _show(sighting)
        except InputError as error:
            failed = report(error)
            code = code or failed
    result = {"bundle": _identity(bundle), "utterances": utterances}
    if sink:
        sink.finish(result)
    if args.json:
        print(json.dumps(result, indent=2))
    elif utterances:
        _explain(args, gallery)
    return code


def enroll(args: Namespace) -> int:
    """Add one person, seen on one or more photos, to the gallery."""
    bundle = load_bundle(args.bundle or default_bundle_path())
    space_id = bundle.manifest.embedding.space_id
    path = args.gallery or user_gallery_path()
    gallery = load_gallery(path, space_id) if path.exists() else Gallery(space_id)
    faces = np.stack([load_face(image) for image in args.images])
    embedding = FaceEncoder(bundle.open("face_encoder")).embed(faces)
    gallery = gallery.add(args.name, embedding, to_png(faces[0]))
    save_gallery(path, gallery)
    print(f"{args.name} is {gallery.people[-1].id}, one of {len(gallery.people)} in {path}")
    return 0


def list_people(args: Namespace) -> int:
    """Print who is enrolled."""
    path = args.gallery or user_gallery_path()
    if args.gallery is None and not path.exists():
        print(
            "nobody is enrolled, so the sample gallery is used; add people with: "
            "earsight enroll NAME IMAGE"
        )
        return 0
    for person in load_gallery(path).people:
        print(f"{person.id}  {person.name}")
    return 0


def remove_person(args: Namespace) -> int:
    """Remove one person from the gallery."""
    path = args.gallery or user_gallery_path()
    before = load_gallery(path)
    after = before.remove(args.who)
    save_gallery(path, after)
    print(f"{args.who} is removed, {len(after.people)} left in {path}")
    return 0


def show_bundle(args: Namespace) -> int:
    """Print what a bundle holds."""
    bundle = load_bundle(args.bundle or default_bundle_path())
    manifest = bundle.manifest
    print(f"{manifest.name}  (earsight {manifest.version}, {manifest.created})")
    print(f"  path       {bundle.path}")
    print(f"  space      {manifest.embedding.space_id}, {manifest.embedding.dim} dimensions")
    print(f"  front-end  {manifest.frontend.fingerprint[:12]}")
    print(f"  licence    {manifest.licence}")
    for name, model in manifest.models.items():
        size = model.files["cpu"].bytes / 1e3
        print(f"  {name:17} {size:6.0f} kB, {model.macs / 1e6:6.1f} million multiplications")
    for name, value in manifest.measured.items():
        print(f"  measured   {name} {value:.4g}")
    return 0


def verify_bundle(args: Namespace) -> int:
    """Check every hash (loading does) and open every model."""
    bundle = load_bundle(args.bundle or default_bundle_path())
    for name in bundle.manifest.models:
        backend = bundle.open(name).backend
        print(f"{name}: opens with {backend.name} {backend.version}")
    print(f"{bundle.path}: every file and every model keeps the contract")
    return 0


COMMANDS: Mapping[str, Callable[[Namespace], int]] = {
    "hear": hear,
    "enroll": enroll,
    "people list": list_people,
    "people remove": remove_person,
    "bundle show": show_bundle,
    "bundle verify": verify_bundle,
}


def _gallery_to_rank(given: Path | None, bundle: Bundle) -> Gallery:
    """Return the gallery asked for, else the user's own, else the sample."""
    user = user_gallery_path()
    path = given or (user if user.exists() else sample_gallery_path())
    return load_gallery(path, bundle.manifest.embedding.space_id)


def _joined(files: list[Path]) -> Iterable[Recording]:
    """Return the pieces of the files, one after the other; all are checked before the first."""
    streams = [stream_recording(file) for file in files]
    if len(streams) == 1:
        return streams[0]
    source = f"{files[0]} and {len(files) - 1} more"
    return _renamed(streams, source)


def _renamed(streams: list[Iterator[Recording]], source: str) -> Iterator[Recording]:
    for stream in streams:
        for piece in stream:
            yield Recording(piece.samples, source)


def _identity(bundle: Bundle) -> dict[str, str]:
    manifest = bundle.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "space_id": manifest.embedding.space_id,
    }


def _show(sighting: Sighting) -> None:
    colours = colours_of(sys.stdout, os.environ)
    if sighting.portrait is not None and colours != "none":
        columns = shutil.get_terminal_size().columns
        print(draw_portrait(sighting.portrait.pixels, colours, columns))
    print(describe(sighting))


def _explain(args: Namespace, gallery: Gallery) -> None:
    """Print where results went and, until somebody is enrolled, whose faces were ranked."""
    if args.out:
        print(f"\nwritten to {printable(str(args.out))}: result.json, portraits and sheets")
    if args.gallery is None and not user_gallery_path().exists():
        print(
            f"faces are {len(gallery.people)} synthetic people; "
            "rank your own: earsight enroll NAME IMAGE"
        )
