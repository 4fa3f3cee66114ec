"""From one item to its vector, exactly as the device does it; or why it has none."""

from __future__ import annotations

import errno
from dataclasses import dataclass

import numpy as np

from edge.bundle import Bundle
from edge.embed.encoder import FaceEncoder, VoiceEncoder
from edge.errors import EarsightError, InputError, StorageError
from edge.face.photo import centre_face, decode_picture, read_file
from edge.face.subject import SubjectFinder
from edge.people.enrolment import hear_speaker
from edge.types import Float32

from ..datasets.item import Item

# of the machine or its network, not of the file: the work stops, and goes on when they are back
PASSING = {
    errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH,
    errno.ENETDOWN, errno.ENETUNREACH, errno.EMFILE, errno.ENFILE, errno.ENOMEM,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Failure:
    """An item without a vector."""

    reason: str  # one line
    absent: bool = False  # there is no such file


class Embedder:
    """A bundle's encoders on the CPU, opened when first needed. Belongs to one thread."""

    def __init__(self, bundle: Bundle, framed: bool) -> None:
        """Take a bundle.

        Args:
            bundle: whose encoders are used.
            framed: photos show a face framed as the encoder wants it; the central square is used.
        """
        self._bundle = bundle
        self._framed = framed
        self._voice: VoiceEncoder | None = None
        self._face: FaceEncoder | None = None
        self._finder: SubjectFinder | None = None

    def embed(self, item: Item) -> Float32 | Failure:
        """Return the unit vector (d,) of an item, or why there is none.

        Whatever a file makes its decoder raise is a failure of that file, not of the corpus.

        Raises:
            BundleError: a model breaks the contract.
            RuntimeUnavailable: a package that is needed is not installed.
            StorageError: the disk is away, or the process has no memory or files left.
        """
        try:
            with item.path.open("rb") as file:
                file.read(1)
            vector = self._hear(item) if item.kind == "voice" else self._see(item)
        except FileNotFoundError:
            return Failure("no such file", absent=True)
        except InputError as exc:
            return Failure(_line(str(exc).removeprefix(f"{item.path}: ")))
        except EarsightError:
            raise
        except OSError as exc:
            if exc.errno in PASSING:
                raise StorageError(f"{item.path}: {exc.strerror}; make the disk reachable") from exc
            return Failure(_line(f"cannot be opened ({exc.strerror})"))
        except Exception as exc:
            return Failure(_line(f"its decoder failed ({type(exc).__name__}: {exc})"))
        if not np.isfinite(vector).all() or not vector.any():
            return Failure("the encoder gives it no direction")
        return vector

    def _hear(self, item: Item) -> Float32:
        manifest = self._bundle.manifest
        if self._voice is None:
            self._voice = VoiceEncoder(self._bundle.open("voice_encoder"), manifest.traits)
        return hear_speaker(item.path, self._voice, manifest.frontend.spec)[0]

    def _see(self, item: Item) -> Float32:
        if self._face is None:
            self._face = FaceEncoder(self._bundle.open("face_encoder"))
            self._finder = None if self._framed else SubjectFinder(self._bundle)
        picture = decode_picture(read_file(item.path), str(item.path))
        crop = self._finder.find(picture).crop if self._finder else centre_face(picture)
        return self._face.embed(crop[None])


def _line(reason: str) -> str:
    """Return a reason as one line that no file can make long."""
    return " ".join(reason.split())[:200]
