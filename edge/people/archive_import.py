"""Reads an archive of people (`archive` has the format), and refuses one that is not whole."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BundleError, ConfigError, StorageError
from ..sqlite import storage_errors
from .archive import FORMAT
from .consent import Consent, consent_from_json
from .encryption import KeySeal, PlainSeal, Seal
from .person import LARGEST_CROP, Sample, check_label, check_samples
from .sample_rows import unpack_vector
from .store import PeopleStore

LARGEST_MANIFEST = 1 << 30  # bytes


@dataclass(frozen=True, slots=True)
class Archived:
    """One person of an archive."""

    id: str
    name: str
    consent: Consent | None
    samples: tuple[Sample, ...]


def import_people(store: PeopleStore, path: Path, key: bytes | None) -> tuple[int, int]:
    """Add everybody in an archive to a store; the whole archive is checked before the first.

    Somebody who is there already, by name and with all their samples, is left as they are.

    Returns:
        How many were added, and how many were there already.

    Raises:
        BundleError: the archive is of another embedding space.
        ConfigError: it is encrypted and there is no key, or a name belongs to somebody else here.
        StorageError: it cannot be read, or was damaged or changed.
    """
    with storage_errors(path), _open(path) as archive:
        seal = _seal(archive, path, key)
        manifest = _manifest(archive, path, seal)
        if manifest["space_id"] != store.space_id:
            raise BundleError(
                f"{path}: made in embedding space '{manifest['space_id']}', the gallery's is "
                f"'{store.space_id}'; import it into a new gallery, then: earsight people migrate"
            )
        new, known = [], 0
        for person in _people(archive, path, seal, manifest):
            if _is_known(store, person):
                known += 1
            else:
                new.append(person.name)
        wanted = set(new)
        for person in _people(archive, path, seal, manifest):
            if person.name in wanted:
                id = "" if store.has(person.id) else person.id
                store.add(person.name, person.samples, person.consent, id)
    with store.noting() as now_s:
        store.log(now_s, "imported", "", {"people": len(new)})
    return len(new), known


def space_of(path: Path, key: bytes | None) -> str:
    """Return the embedding space of an archive; raises as `import_people`."""
    with storage_errors(path), _open(path) as archive:
        return str(_manifest(archive, path, _seal(archive, path, key))["space_id"])


def _open(path: Path) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError) as exc:
        raise _refused(path, "it is no archive") from exc
    members = archive.infolist()
    names = [member.filename for member in members]
    if len(set(names)) != len(names):
        raise _refused(path, "it has a member twice")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise _refused(path, "it is compressed")  # never by us: a small file that unpacks hugely
    return archive


def _seal(archive: zipfile.ZipFile, path: Path, key: bytes | None) -> Seal:
    try:
        header = json.loads(_get(archive, path, "people.json", 1000))
        found, name = header["format"], header["seal"]
    except (ValueError, KeyError, TypeError) as exc:
        raise _refused(path, "people.json is none of ours") from exc
    if found != FORMAT:
        raise BundleError(f"{path}: format is {found!r}, this earsight reads {FORMAT}")
    if name == PlainSeal.name:
        if key is not None:
            raise ConfigError(f"{path}: is not encrypted; import it without a key if you trust it")
        return PlainSeal()
    if key is None:
        raise ConfigError(f"{path}: is encrypted; give its key: --key-file FILE")
    return KeySeal(key)


def _manifest(archive: zipfile.ZipFile, path: Path, seal: Seal) -> dict[str, Any]:
    sealed = _get(archive, path, "manifest", LARGEST_MANIFEST)
    try:
        manifest = json.loads(seal.unseal(sealed, "manifest"))
        people, dim = manifest["people"], manifest["dim"]
        listed = {"people.json", "manifest"}
        for person in people:
            for sample in person["samples"]:
                listed.add(sample["embedding"]["member"])
                if sample["crop"] is not None:
                    listed.add(sample["crop"]["member"])
    except StorageError as exc:
        raise _refused(path, "it was changed, or the key is another one") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise _refused(path, "its manifest is damaged") from exc
    if listed != set(archive.namelist()):
        raise _refused(path, "members are missing, or were added")
    if not isinstance(dim, int) or not isinstance(manifest.get("space_id"), str):
        raise _refused(path, "its manifest is damaged")
    return dict(manifest)


def _people(
    archive: zipfile.ZipFile, path: Path, seal: Seal, manifest: dict[str, Any]
) -> Iterator[Archived]:
    """Yield everybody, checked."""
    dim = manifest["dim"]
    for entry in manifest["people"]:
        try:
            consent = entry["consent"]
            person = Archived(
                entry["id"],
                entry["name"],
                None if consent is None else consent_from_json(consent),
                tuple(_sample(archive, path, seal, sample, dim) for sample in entry["samples"]),
            )
            check_label("name", person.name)
            check_label("id", person.id)
            check_samples(person.samples, dim)
        except (ConfigError, ValueError, KeyError, TypeError) as exc:
            raise _refused(path, f"an entry breaks a rule: {exc}") from exc
        yield person


def _sample(
    archive: zipfile.ZipFile, path: Path, seal: Seal, entry: dict[str, Any], dim: int
) -> Sample:
    def content(member: dict[str, str], largest: int) -> bytes:
        sealed = _get(archive, path, member["member"], largest + 100)
        try:
            plain = seal.unseal(sealed, member["member"])
        except StorageError as exc:
            raise _refused(path, f"{member['member']} was changed") from exc
        if hashlib.sha256(plain).hexdigest() != member["sha256"]:
            raise _refused(path, f"{member['member']} was changed")
        return plain

    crop = entry["crop"]
    return Sample(
        entry["kind"],
        unpack_vector(content(entry["embedding"], 4 * dim)),
        b"" if crop is None else content(crop, LARGEST_CROP),
        str(entry["digest"]),
        float(entry["quality"]),
    )


def _get(archive: zipfile.ZipFile, path: Path, name: str, largest: int) -> bytes:
    try:
        info = archive.getinfo(name)
        if info.file_size > largest:
            raise _refused(path, f"{name} is too large")
        return archive.read(info)
    except (KeyError, zipfile.BadZipFile, io.UnsupportedOperation, EOFError) as exc:
        raise _refused(path, f"{name} is missing or damaged") from exc


def _is_known(store: PeopleStore, person: Archived) -> bool:
    """Tell whether a person is in the store as they are in the archive.

    Raises:
        ConfigError: the name belongs to somebody else.
    """
    if not store.has(person.name):
        return False
    have = {sample.digest for sample in store.samples(person.name)}
    if {sample.digest for sample in person.samples} <= have:
        return True
    raise ConfigError(
        f"'{person.name}' is enrolled here with other samples; rename or remove them first"
    )


def _refused(path: Path, reason: str) -> StorageError:
    return StorageError(f"{path}: refused: {reason}; nothing was imported; get the archive again")
