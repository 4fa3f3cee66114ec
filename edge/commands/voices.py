"""`earsight find`: from a photo of a face to the voices that fit it."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from ..config import gallery_path, journal_folder, load_config
from ..errors import StorageError
from ..face.photo import read_file
from ..people.database import is_store
from ..people.enrolment import PhotoEnroller
from ..people.opening import open_store
from ..people.voice_search import KnownVoice, VoiceMatch, rank_voices
from ..sinks.journal_folder import DATABASE
from ..sinks.journal_voices import read_voices
from ..sinks.terminal import printable
from .loading import open_bundle


def find_voices(args: Namespace) -> int:
    """Rank the voices that fit the face of a photo."""
    bundle = open_bundle(args.bundle)
    config = load_config(args.config).config
    space_id = bundle.manifest.embedding.space_id
    photo = PhotoEnroller(bundle).enroll(read_file(args.image), str(args.image))
    people = args.gallery or gallery_path(config.gallery)
    folder = args.journal or journal_folder(config.journal)
    voices = list(_enrolled(people, space_id)) if is_store(people) else []
    if args.journal is not None or (folder / DATABASE).exists():
        voices += _heard(folder, space_id)
    if not voices:
        raise StorageError(
            f"neither {people} nor {folder} holds a voice; enroll one: earsight enroll NAME "
            "--voice FILE, or set [journal] embeddings = true"
        )
    matches = rank_voices(photo.sample.embedding, voices, args.top)
    if args.json:
        print(json.dumps({"photo": str(args.image), "voices": [_as_json(m) for m in matches]}))
    else:
        for match in matches:
            print(f"{match.rank:3}. {match.score:+.3f}  {printable(_described(match))}")
        print(f"{len(voices)} voices compared; a guess, not an identification")
    return 0


def _enrolled(path: Path, space_id: str) -> Iterator[KnownVoice]:
    """Yield every enrolled recording of those whose consent holds."""
    with open_store(path, space_id) as store:
        for person in store.people():
            if person.voices and not person.expired:
                for sample in store.samples(person.id):
                    if sample.kind == "voice":
                        yield KnownVoice(person.name, f"enrolled as {person.id}", sample.embedding)


def _heard(folder: Path, space_id: str) -> Iterator[KnownVoice]:
    for voice in read_voices(folder, space_id):
        when = datetime.fromtimestamp(voice.time_s).astimezone().isoformat(timespec="seconds")
        yield KnownVoice(voice.name or "unknown", f"heard {when}", voice.embedding)


def _described(match: VoiceMatch) -> str:
    return f"{match.voice.who}, {match.voice.detail}"


def _as_json(match: VoiceMatch) -> dict[str, object]:
    return {
        "rank": match.rank,
        "score": round(match.score, 4),
        "who": match.voice.who,
        "detail": match.voice.detail,
    }
