"""`earsight hear`: sound files to portraits and ranked faces."""

from __future__ import annotations

import json
import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..audio.file import stream_recording
from ..cli import report
from ..errors import InputError
from ..face.gallery import Gallery, user_gallery_path
from ..pipeline import Ear
from ..sinks.directory import DirectorySink
from ..sinks.terminal import colours_of, describe, draw_portrait, printable
from ..types import Recording, Sighting
from .loading import identity, note_shown, open_bundle, open_gallery


def hear(args: Namespace) -> int:
    """Hear files; return the exit code of the first that could not be used, else 0."""
    bundle = open_bundle(args.bundle)
    gallery = open_gallery(args.gallery, bundle)
    ear = Ear(bundle, gallery, args.top, args.threads, false_match_rate=args.false_match_rate)
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
    note_shown(args.gallery, utterances)
    result = {"bundle": identity(bundle), "utterances": utterances}
    if sink:
        sink.finish(result)
    if args.json:
        print(json.dumps(result, indent=2))
    elif utterances:
        _explain(args, gallery)
    return code


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
