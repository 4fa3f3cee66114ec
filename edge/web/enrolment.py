"""Enrolment from the page, by the command itself: `earsight enroll` in a process of its own.

A photo of fifty million pixels, or one made to break a decoder, then costs the daemon neither its
memory nor its life. Neither the photos nor the pictures of why they are refused touch a disk.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ..config import PREFIX, SEPARATOR, DeviceConfig, gallery_path, state_folder
from ..errors import InputError
from ..face.gallery import sample_gallery_path, user_gallery_path

ERROR = "earsight: error: "  # begins the lines that say what is wrong
PATIENCE_S = 120.0  # a Pi Zero 2 needs some ten seconds
MEMORY = Path("/dev/shm")  # files here are in memory
HOME = Path(__file__).parents[2]  # where the package is imported from


@dataclass(frozen=True, slots=True)
class Photo:
    """One uploaded file."""

    name: str  # as the browser calls it
    content: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    done: bool  # also when some of the photos were refused
    exit_code: int  # as documented for every command
    said: str  # for the person at the browser
    seen: tuple[Photo, ...] = ()  # PNGs of the photos whose face was refused, with the reason


def enrol(
    config: DeviceConfig, name: str, consent_by: str, photos: Sequence[Photo], expires: str = ""
) -> Outcome:
    """Add one person, or more photos of somebody known, to this device's gallery.

    Args:
        config: says where the gallery and the models are.
        name: how results call the person.
        consent_by: who consented: the person, or who speaks for them.
        photos: of the person's face.
        expires: until when the consent holds, a date; "" for no end.

    Raises:
        InputError: there is no photo, it takes too long, or that is no date.
    """
    if not photos:
        raise InputError("there is no photo; choose one or more")
    try:
        expires = expires and date.fromisoformat(expires).isoformat()
    except ValueError as exc:
        raise InputError(f"'{expires}' is no date like 2027-12-31") from exc
    with ExitStack() as files:
        handles = [_in_memory(photo, files) for photo in photos]
        options = ["--gallery", str(own_gallery(config)), f"--consent-by={consent_by}"]
        if expires:
            options.append(f"--expires={expires}")
        if config.bundle.path:
            options += ["--bundle", config.bundle.path]
        paths = [f"/proc/self/fd/{handle}" for handle in handles]
        shown: Path | None = None
        if os.access(MEMORY, os.W_OK):
            shown = Path(files.enter_context(tempfile.TemporaryDirectory(dir=MEMORY)))
            options.append(f"--out={shown}")
        outcome = _run(config, ["enroll", *options, "--", name, *paths], handles)
        seen = tuple(_seen(shown, handles, photos)) if shown is not None else ()
    said = outcome.said
    for path, photo in zip(paths, photos, strict=True):
        said = said.replace(f"{path}: ", f"{photo.name}: ")
    # a person whose other photos were refused is enrolled all the same
    return Outcome(outcome.done or f"{name} is " in said, outcome.exit_code, said, seen)


def remove(config: DeviceConfig, person: str) -> Outcome:
    """Remove one person, by id, from this device's gallery."""
    gallery = str(own_gallery(config))
    return _run(config, ["people", "remove", "--gallery", gallery, "--", person], [])


def own_gallery(config: DeviceConfig) -> Path:
    """Return the gallery that people are enrolled into: never the sample that ships."""
    path = gallery_path(config.gallery)
    return path if path != sample_gallery_path() else state_folder() / user_gallery_path().name


def _in_memory(photo: Photo, files: ExitStack) -> int:
    """Return a file of memory that holds a photo; it is closed with `files`."""
    handle = os.memfd_create("photo")
    files.callback(os.close, handle)
    with os.fdopen(handle, "wb", closefd=False) as file:
        file.write(photo.content)
    return handle


def _seen(folder: Path, handles: Sequence[int], photos: Sequence[Photo]) -> Iterator[Photo]:
    """Yield what the command drew of refused photos, under the photos' own names."""
    for handle, photo in zip(handles, photos, strict=True):
        path = folder / f"{handle}-refused.png"
        if path.exists():
            yield Photo(photo.name, path.read_bytes())


def _settings(config: DeviceConfig) -> dict[str, str]:
    """Return what the command cannot be told otherwise, as variables."""
    key_file = config.gallery.key_file
    return {f"{PREFIX}GALLERY{SEPARATOR}KEY_FILE": key_file} if key_file else {}


def _run(config: DeviceConfig, arguments: Sequence[str], handles: Sequence[int]) -> Outcome:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "edge", *arguments],
            cwd=HOME,
            env={**os.environ, **_settings(config)},
            pass_fds=handles,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise InputError(f"it took longer than {PATIENCE_S:g} s; use smaller photos") from exc
    errors = [line for line in done.stderr.splitlines() if line.startswith(ERROR)]
    lines = [line.removeprefix(ERROR).strip() for line in [*errors, *done.stdout.splitlines()]]
    said = "; ".join(lines) or f"it failed with exit code {done.returncode}"
    return Outcome(not done.returncode, done.returncode, said)
