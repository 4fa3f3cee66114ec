"""A published gallery: people in one file that is only read, as the sample that ships.

It is a NumPy `.npz` archive without pickles, which runs nothing when it is read:

    header      JSON as uint8: format, space_id, people as a list of {id, name}
    embeddings  (n, d) float32, unit length
    thumbnails  all PNG files one after the other, uint8
    ends        (n,) int64, where each person's PNG ends in `thumbnails`

Earlier versions kept enrolled people in such a file too; `people.opening` turns it into a store.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import BundleError, ConfigError, StorageError
from ..storage import write_private
from .gallery import Gallery, Person, check_people

FORMAT = 1
LARGEST = 2**30  # bytes unpacked; a bigger file is damaged or hostile

Arrays = dict[str, npt.NDArray[Any]]


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
                f"'{space_id}'; give the gallery that belongs to the bundle"
            )
        people = _people(header["people"], arrays)
        return Gallery(str(header["space_id"]), people)
    except BundleError:
        raise
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as exc:
        raise StorageError(
            f"{path}: not a gallery, or damaged; restore a copy or enroll again"
        ) from exc


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


def _people(entries: list[dict[str, str]], arrays: Arrays) -> tuple[Person, ...]:
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
    try:
        check_people(people)
    except ConfigError as exc:
        raise ValueError(str(exc)) from exc
    return people
