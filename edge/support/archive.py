"""One archive with everything that helps to help, and nothing that tells who is heard or where."""

from __future__ import annotations

import getpass
import io
import json
import platform
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..config import (
    DeviceConfig,
    Effective,
    flatten,
    gallery_path,
    journal_folder,
    key_file,
    to_tree,
)
from ..errors import EarsightError
from ..people.opening import read_gallery
from ..sinks.journal_query import read_events
from ..storage import write_private
from . import facts
from .redaction import Kind, Scrubber, hidden_part, kind_of

README = """\
What `earsight support-dump` packed on a device, for whoever is asked for help.

Names, hosts, addresses, paths, serial numbers and secrets are replaced by what kind of thing they
are: <name>, <host, private IPv4 address>, <path, absolute, file 0600>. There is no sound, no
portrait, no score, no trait and no name in it. Look through it before you pass it on.
"""


def write_support_dump(path: Path, effective: Effective) -> Mapping[str, int]:
    """Write the archive, 0600, and return its members with their sizes in bytes.

    Args:
        path: of the archive, .tar.gz.
        effective: the configuration in force.

    Raises:
        StorageError: it cannot be written.
    """
    config = effective.config
    scrubber = Scrubber(_known(effective))
    gathered: Mapping[str, Callable[[], Any]] = {
        "versions.json": facts.versions,
        "config.json": lambda: facts.configuration(effective),
        "doctor.json": lambda: facts.findings(config),
        "microphones.json": facts.microphones,
        "journal.json": lambda: facts.journal(config),
        "board.json": facts.board,
        "log.txt": facts.log,
    }
    members = {"README.txt": README.encode()}
    for name, gather in gathered.items():
        members[name] = _content(scrubber.tree(_gathered(gather)))
    write_private(path, _pack(members))
    return {name: len(content) for name, content in members.items()}


def _gathered(gather: Callable[[], Any]) -> Any:
    """Return facts, or why there are none: a dump is wanted most where things are broken."""
    try:
        return gather()
    except Exception as exc:
        return f"not to be had: {type(exc).__name__}: {exc}"


def _content(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _pack(members: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(f"earsight-support/{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _known(effective: Effective) -> Iterator[tuple[Kind, str]]:
    """Yield what must not be seen in free text, with its kind."""
    defaults = dict(flatten(to_tree(DeviceConfig())))
    for key, value in flatten(to_tree(effective.config)):
        kind = kind_of(key, value)
        if value != defaults[key]:
            texts = value if isinstance(value, list) else [value]
            yield from ((kind, hidden_part(kind, str(text))) for text in texts)
        if key.endswith(("password_file", "token_file")) and value:
            yield "secret", _first_line(Path(value))
    yield "name", platform.node()
    if getpass.getuser() not in ("root", "earsight"):
        yield "name", getpass.getuser()
    yield "path", str(Path.home())
    yield from (("name", name) for name in _people(effective.config))


def _people(config: DeviceConfig) -> Iterator[str]:
    """Yield every name that gallery and journal have, as far as they can be read."""
    with suppress(EarsightError):
        path, key = gallery_path(config.gallery), key_file(config.gallery)
        yield from (person.name for person in read_gallery(path, key_file=key).people)
    with suppress(EarsightError):
        folder = journal_folder(config.journal)
        for entry in read_events(folder, kind="heard", limit=facts.EVENTS):
            named = [*entry.body.get("matches", []), entry.body.get("decision") or {}]
            yield from {each["name"] for each in named if each.get("name")}


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip()
    except OSError:
        return ""
