"""Files that are either the old one or the new one, never half of each, and private."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .errors import StorageError


def write_private(path: Path, content: bytes) -> None:
    """Write a file atomically with mode 0600 (faces and voices are biometric data).

    Raises:
        StorageError: the disk is full or the folder cannot be written; an old file is untouched.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as exc:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise StorageError(
            f"{path}: cannot be written ({exc.strerror}); check the folder and the space left"
        ) from exc


@contextlib.contextmanager
def replace_directory(path: Path) -> Iterator[Path]:
    """Yield an empty sibling folder that takes the place of `path` when the block succeeds.

    Raises:
        StorageError: the folder cannot be made or renamed; an old `path` is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as exc:
        raise StorageError(
            f"{path.parent}: cannot be written ({exc.strerror}); check the folder"
        ) from exc
    try:
        yield folder
        folder.chmod(0o755)
        _swap(folder, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _swap(folder: Path, path: Path) -> None:
    """Rename `folder` to `path`, moving an old one away first (directories cannot be replaced)."""
    old = path.with_name(f".{path.name}.old")
    try:
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            path.rename(old)
        folder.rename(path)
    except OSError as exc:
        if old.exists() and not path.exists():
            old.rename(path)
        raise StorageError(f"{path}: cannot be replaced ({exc.strerror})") from exc
    shutil.rmtree(old, ignore_errors=True)
