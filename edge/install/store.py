"""Where installed bundles live: two at most, and one link that says which of them is used.

::

    bundles/
      current -> default-5f0c1e0b7a2d.bundle    the one in use; no link: the one that ships
      default-5f0c1e0b7a2d.bundle/              named after the SHA-256 of its manifest
      default-91ab33c0d4e7.bundle/              the one before: rolling back swaps them

One rename switches, so that a power cut leaves the old bundle or the new one in use. A daemon
follows at its next reload.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ..bundle import MANIFEST, Bundle, default_bundle_path, load_bundle
from ..errors import BundleError, ConfigError, EarsightError, StorageError
from ..face.gallery import user_gallery_path
from .signature import SUFFIX, TrustedKey, check_signature

HOME = Path("/opt/earsight")  # where firmware_cfg/install.sh puts everything
CURRENT = "current"
BUNDLE = ".bundle"


def store_folder() -> Path:
    """Return where this earsight has its bundles: the device's one place, else the user's own."""
    is_device = Path(__file__).resolve().is_relative_to(HOME)
    return (HOME if is_device else user_gallery_path().parent) / "bundles"


def bundle_in_use() -> Path:
    """Return the bundle that is used when none is asked for: an installed one, else the shipped."""
    return BundleStore(store_folder()).current or default_bundle_path()


class BundleStore:
    """The installed bundles of one folder."""

    def __init__(self, folder: Path) -> None:
        """Set up; the folder is made when something is installed."""
        self.folder = folder

    @property
    def current(self) -> Path | None:
        """The installed bundle in use, None when it is the one that ships."""
        link = self.folder / CURRENT
        return link.resolve() if link.exists() else None

    def install(
        self, source: Path, keys: tuple[TrustedKey, ...], examine: Callable[[Bundle], object]
    ) -> tuple[Path, str]:
        """Copy a signed bundle here, try it, and only then use it.

        What is tried and used is the copy, of the very bytes whose signature was checked.

        Args:
            source: `NAME.bundle`, with its signature.
            keys: whose signature counts.
            examine: raises when the bundle does not work here.

        Returns:
            Where it lies, and the name of the key that signed it.

        Raises:
            BundleError: not signed by any of the keys, damaged, or does not work; nothing changed.
            StorageError: the disk refused; nothing changed.
        """
        manifest = _read(source, MANIFEST)
        signature = _read(source, MANIFEST + SUFFIX)
        try:
            signer = check_signature(manifest, signature, keys)
        except BundleError as exc:
            raise BundleError(f"{source}: {exc}") from exc
        path = self.folder / _name(source, manifest)
        if path == self.current:
            return path, signer
        with self._room(path) as copy:
            _write(copy / MANIFEST, manifest)
            _write(copy / (MANIFEST + SUFFIX), signature)
            for name in _other_files(source):
                _write(copy / name, _read(source, name))
            try:
                examine(load_bundle(copy))
            except BundleError as exc:
                raise BundleError(str(exc).replace(str(copy), str(source))) from exc
            self._forget_all_but(self.current)
            copy.chmod(0o755)
            copy.rename(path)
            self._use(path)
        return path, signer

    def rollback(self) -> Path | None:
        """Use the other bundle, which was used before; return it, None for the one that ships.

        Raises:
            ConfigError: nothing was ever installed here.
            BundleError: the other one is damaged; the present one stays.
        """
        installed, current = self._installed(), self.current
        if not installed:
            raise ConfigError(
                f"{self.folder}: no bundle was installed; the one that ships is in use"
            )
        other = next((path for path in installed if path != current), None)
        if other is not None:
            load_bundle(other)
        self._use(other)
        return other

    def _installed(self) -> list[Path]:
        return [path.resolve() for path in sorted(self.folder.glob(f"*{BUNDLE}"))]

    def _use(self, path: Path | None) -> None:
        link = self.folder / CURRENT
        new = self.folder / f".{CURRENT}.new"
        try:
            if path is None:
                link.unlink(missing_ok=True)
                return
            new.unlink(missing_ok=True)
            new.symlink_to(path.name)
            new.replace(link)
        except OSError as exc:
            raise _refused(self.folder, exc) from exc

    def _forget_all_but(self, kept: Path | None) -> None:
        for path in self._installed():
            if path != kept:
                shutil.rmtree(path, ignore_errors=True)

    @contextlib.contextmanager
    def _room(self, path: Path) -> Iterator[Path]:
        """Yield an empty folder beside `path`, which does not outlive the block."""
        folder: Path | None = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=self.folder, prefix=f".{path.name}."))
            yield folder
        except OSError as exc:
            if isinstance(exc, EarsightError):
                raise
            raise _refused(self.folder, exc) from exc
        finally:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def _name(source: Path, manifest: bytes) -> str:
    """Return how a bundle is called in the store."""
    return f"{source.resolve().stem}-{hashlib.sha256(manifest).hexdigest()[:12]}{BUNDLE}"


def _read(source: Path, name: str) -> bytes:
    try:
        return (source / name).read_bytes()
    except FileNotFoundError as exc:
        what = "a signed bundle" if name.endswith(SUFFIX) else "a bundle"
        raise BundleError(
            f"{source}: is not {what}: there is no {name} in it; give the NAME.bundle directory "
            "as its maker signed it"
        ) from exc
    except OSError as exc:
        raise BundleError(f"{source / name}: cannot be read ({exc.strerror})") from exc


def _other_files(source: Path) -> list[str]:
    """Return the names of a bundle's files but for manifest and signature; no links, no folders."""
    read = (MANIFEST, MANIFEST + SUFFIX)
    return sorted(
        path.name
        for path in source.iterdir()
        if path.is_file() and not path.is_symlink() and path.name not in read
    )


def _write(path: Path, content: bytes) -> None:
    """Write a file so that it outlives a power cut."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _refused(folder: Path, exc: OSError) -> StorageError:
    return StorageError(
        f"{folder}: cannot be written ({exc.strerror}); free some space, or run it with sudo"
    )
