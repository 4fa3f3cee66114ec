"""From one item to its vector, or to why it has none."""

from __future__ import annotations

import errno
import stat
from dataclasses import dataclass

import numpy as np

from edge.bundle import Bundle
from edge.embed.encoder import FaceEncoder, VoiceEncoder
from edge.errors import EarsightError, InputError, StorageError
from edge.face.photo import decode_picture, read_file
from edge.face.subject import SubjectFinder
from edge.people.enrolment import hear_speaker
from edge.types import Float32

from ..datasets.item import Item
from ..datasets.reading import published_face, published_voice
from .plan import Reading

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

    def __init__(self, bundle: Bundle, reading: Reading) -> None:
        """Take a bundle.

        Args:
            bundle: whose encoders are used.
            reading: "device": a recording's speech is found, a photo's face is found and framed.
                "published": both are taken whole, as the papers' loaders do
                (`datasets.reading`): VoxCeleb and VGGFace were cut to speech and to a face.
        """
        self._bundle = bundle
        self._whole = reading == "published"
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
            if not stat.S_ISREG(item.path.stat().st_mode):
                return Failure("not a regular file")  # opening a pipe would wait for ever
            vector = self._hear(item) if item.kind == "voice" else self._see(item)
        except FileNotFoundError:
            return Failure("no such file", absent=True)
        except InputError as exc:
            _refuse_passing(item, exc.__cause__)
            return Failure(_line(str(exc).removeprefix(f"{item.path}: ")))
        except EarsightError:
            raise
        except OSError as exc:
            _refuse_passing(item, exc)
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
        if self._whole:
            return self._voice.encode(published_voice(item.path, manifest.frontend.spec)).embedding
        return hear_speaker(item.path, self._voice, manifest.frontend.spec)[0]

    def _see(self, item: Item) -> Float32:
        if self._face is None:
            self._face = FaceEncoder(self._bundle.open("face_encoder"))
            self._finder = None if self._whole else SubjectFinder(self._bundle)
        if self._finder is None:
            crop = published_face(item.path)
        else:
            crop = self._finder.find(decode_picture(read_file(item.path), str(item.path))).crop
        return self._face.embed(crop[None])


def _refuse_passing(item: Item, cause: BaseException | None) -> None:
    if isinstance(cause, OSError) and cause.errno in PASSING:
        raise StorageError(f"{item.path}: {cause.strerror}; make the disk reachable") from cause


def _line(reason: str) -> str:
    """Return a reason as one line that no file can make long."""
    return " ".join(reason.split())[:200]
