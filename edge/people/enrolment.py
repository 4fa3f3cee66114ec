"""From a photo or a recording of somebody to a sample of theirs in the shared space."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..embed.encoder import FaceEncoder, VoiceEncoder
from ..errors import InputError
from ..face.annotate import annotate
from ..face.photo import decode_picture, to_png
from ..face.subject import FaceError, Subject, SubjectFinder
from ..types import Float32, UInt8
from .person import Sample, source_digest

if TYPE_CHECKING:
    from ..audio.frontend import FrontendSpec
    from ..bundle import Bundle

LITTLE_SPEECH_S = 10.0  # below it, advice is given


@dataclass(frozen=True, slots=True)
class EnrolledPhoto:
    """A photo whose face can be enrolled."""

    name: str  # what the user called it
    sample: Sample
    crop: UInt8  # (112, 112, 3) sRGB


class PhotoError(InputError):
    """A photo that was read but whose face cannot be enrolled; `seen` shows why."""

    def __init__(self, message: str, seen: bytes) -> None:
        super().__init__(message)
        self.seen = seen  # PNG: the photo, small, with the faces found and the reason


class PhotoEnroller:
    """Makes samples of photos. Belongs to one thread."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        """Open the bundle's face encoder and, if it has one, its detector.

        Raises:
            BundleError: a model breaks the contract.
            RuntimeUnavailable: nothing installed here can run the models.
        """
        self._finder = SubjectFinder(bundle, threads)
        self._encoder = FaceEncoder(bundle.open("face_encoder", threads))

    @property
    def detects(self) -> bool:
        """Tell whether faces are looked for; else a photo must be framed by hand."""
        return self._finder.detects

    def enroll(self, content: bytes, name: str) -> EnrolledPhoto:
        """Return what a picture file gives.

        Args:
            content: the bytes of the file.
            name: what messages call it.

        Raises:
            PhotoError: it shows no face, several, or one that cannot be used.
            InputError: it is no picture that can be read.
            RuntimeUnavailable: Pillow is not installed.
        """
        picture = decode_picture(content, name)
        try:
            subject: Subject = self._finder.find(picture)
        except FaceError as exc:
            seen = annotate(picture, exc.boxes, str(exc), accepted=False)
            raise PhotoError(f"{name}: {exc}", seen) from exc
        embedding = self._encoder.embed(subject.crop[None])
        sample = Sample(
            "photo", embedding, to_png(subject.crop), source_digest(content), subject.quality
        )
        return EnrolledPhoto(name, sample, subject.crop)


@dataclass(frozen=True, slots=True)
class EnrolledVoice:
    """A recording whose speaker can be enrolled."""

    sample: Sample
    speech_s: float  # how much of it is speech


def enroll_voice(path: Path, bundle: Bundle, threads: int = 1) -> EnrolledVoice:
    """Return the sample of a recording in which one person speaks; the sound is not kept.

    Raises:
        InputError: the file cannot be used.
        NoSpeechError: nobody speaks in it.
        RuntimeUnavailable: a package that reads sound or finds speech is not installed.
    """
    encoder = VoiceEncoder(bundle.open("voice_encoder", threads), bundle.manifest.traits)
    embedding, speech_s = hear_speaker(path, encoder, bundle.manifest.frontend.spec)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return EnrolledVoice(Sample("voice", embedding, b"", digest, 1.0), speech_s)


def hear_speaker(path: Path, encoder: VoiceEncoder, spec: FrontendSpec) -> tuple[Float32, float]:
    """Return the unit vector (d,) of whoever speaks in a recording, and the seconds of speech.

    Its utterances count by their length. Memory stays at a few megabytes whatever the length.

    Raises:
        InputError: the file cannot be used.
        NoSpeechError: nobody speaks in it.
        RuntimeUnavailable: a package that reads sound or finds speech is not installed.
    """
    from ..audio.file import stream_recording
    from ..audio.frontend import encoder_input
    from ..audio.speech import listen

    weighted: list[Float32] = []
    speech_s = 0.0
    for utterance in listen(stream_recording(path)):
        windows = encoder_input(utterance.samples, spec)
        length_s = utterance.end_s - utterance.start_s
        weighted.append(length_s * encoder.encode(windows).embedding)
        speech_s += length_s
    total = np.sum(weighted, axis=0, dtype=np.float64)
    return (total / np.linalg.norm(total)).astype(np.float32), speech_s
