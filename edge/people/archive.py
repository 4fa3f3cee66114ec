"""All people in one file: to move them to another device, or to keep a copy.

A ZIP file, uncompressed::

    people.json         {"format": 1, "seal": "none" or "chacha20-poly1305"}
    manifest            JSON: space_id, dim, created, people: a list of
                        {id, name, consent, samples: a list of
                        {kind, quality, digest, embedding, crop}}, where embedding and crop are
                        {"member", "sha256"}; crop is null for a voice
    samples/0.f32 ...   embeddings, little-endian float32
    samples/0.png ...   crops

With a key every member but the first is encrypted and bound to its name, so that whatever is
changed, exchanged or left out is refused (`encryption`). Without one, the SHA-256 of every member
shows damage, and changes by whoever does not change the manifest as well.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..sqlite import storage_errors
from .encryption import KeySeal, PlainSeal, Seal
from .sample_rows import pack_vector
from .store import PeopleStore

FORMAT = 1
_LEAST_TIME = (1980, 1, 1, 0, 0, 0)  # of ZIP: when it was made is in the manifest


def export_people(store: PeopleStore, path: Path, key: bytes | None) -> int:
    """Write everybody to an archive, mode 0600; return how many they are.

    Args:
        store: of the people; the export goes into its audit log.
        path: the file; an old one is replaced when the new one is complete.
        key: 32 bytes; None writes it readable for everybody who has the file.

    Raises:
        StorageError: the disk refused, or a sample is damaged.
        RuntimeUnavailable: encryption needs a package that is not installed.
    """
    seal: Seal = PlainSeal() if key is None else KeySeal(key)
    temporary = path.with_name(f".{path.name}.new")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                with zipfile.ZipFile(file, "w") as archive:
                    people = _write_people(archive, store, seal)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    with store.noting() as now_s:
        store.log(now_s, "exported", "", {"people": people, "seal": seal.name})
    return people


def _write_people(archive: zipfile.ZipFile, store: PeopleStore, seal: Seal) -> int:
    _put(archive, "people.json", json.dumps({"format": FORMAT, "seal": seal.name}).encode())
    people = []
    count = 0
    for person in store.people():
        samples = []
        for sample in store.samples(person.id):
            members = {"embedding": ("f32", pack_vector(sample.embedding))}
            if sample.crop:
                members["crop"] = ("png", sample.crop)
            entry: dict[str, Any] = {"crop": None}
            for what, (suffix, content) in members.items():
                name = f"samples/{count}.{suffix}"
                _put(archive, name, seal.seal(content, name))
                entry[what] = {"member": name, "sha256": hashlib.sha256(content).hexdigest()}
            entry |= {"kind": sample.kind, "quality": sample.quality, "digest": sample.digest}
            samples.append(entry)
            count += 1
        consent = person.consent.as_json() if person.consent else None
        people.append(
            {"id": person.id, "name": person.name, "consent": consent, "samples": samples}
        )
    manifest = {
        "space_id": store.space_id,
        "dim": store.dim,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "people": people,
    }
    _put(archive, "manifest", seal.seal(json.dumps(manifest).encode(), "manifest"))
    return len(people)


def _put(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _LEAST_TIME), content)
