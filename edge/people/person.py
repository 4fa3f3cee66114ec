"""What the store keeps of a person: samples, each as an encoder saw it, and who they belong to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from ..errors import ConfigError
from ..types import Float32
from .consent import Consent

Kind = Literal["photo", "voice"]
KINDS: tuple[Kind, ...] = ("photo", "voice")

LONGEST_NAME = 80  # characters
LARGEST_CROP = 1 << 20  # bytes of one PNG; an aligned crop has some 20 kB
UNIT_TOLERANCE = 1e-3
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Sample:
    """One photo or one utterance of a person, as an encoder saw it."""

    kind: Kind
    embedding: Float32  # (d,), unit length, of the store's space
    crop: bytes  # PNG of the aligned face exactly as the encoder saw it; b"" for a voice
    digest: str  # SHA-256 of the source file's bytes, 64 hex digits
    quality: float  # 0..1, of detection, sharpness and pose together; 1.0 when not judged


@dataclass(frozen=True, slots=True)
class PersonInfo:
    """One enrolled person, without the samples."""

    id: str  # unique, never used twice: u0001, u0002, ...
    name: str  # unique, printable, 1 to 80 characters
    photos: int  # samples of each kind
    voices: int
    consent: Consent | None
    added: datetime  # UTC
    expired: bool  # consent has run out: kept for 30 days, but neither matched nor shown


def source_digest(content: bytes) -> str:
    """Return what `Sample.digest` is for a source file with this content."""
    return hashlib.sha256(content).hexdigest()


def mean_direction(vectors: Sequence[Float32]) -> Float32:
    """Return the normalised mean of vectors (d,); of opposite ones, which have none, the first."""
    mean = np.mean(vectors, axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    if length < UNIT_TOLERANCE:
        return vectors[0]
    return np.asarray(mean / length, np.float32)


def check_label(what: str, text: object) -> None:
    """Hold a name or an id to what can be printed and typed.

    Raises:
        ConfigError: it is empty, too long, or has characters that cannot be printed.
    """
    if not (
        isinstance(text, str)
        and 1 <= len(text.strip()) <= len(text) <= LONGEST_NAME
        and text.isprintable()
    ):
        raise ConfigError(
            f"{what} {text!r}: not 1 to {LONGEST_NAME} printable characters; choose another"
        )


def check_samples(samples: Sequence[Sample], dim: int) -> None:
    """Hold samples to the contract of their fields.

    Args:
        samples: of one person.
        dim: what their embeddings must have; 0 for any.

    Raises:
        ConfigError: there are none, or one breaks a rule.
    """
    if not samples:
        raise ConfigError("a person needs at least one photo or voice")
    size = dim or samples[0].embedding.size
    for sample in samples:
        vector = sample.embedding
        if vector.shape != (size,) or vector.dtype != np.float32:
            raise ConfigError(
                f"a sample's embedding is {vector.dtype} {vector.shape}, not float32 ({size},)"
            )
        if not abs(float(np.linalg.norm(vector)) - 1.0) < UNIT_TOLERANCE:  # also NaN
            raise ConfigError("a sample's embedding is not a unit vector; use another photo")
        if sample.kind not in KINDS:
            raise ConfigError(f"a sample's kind is {sample.kind!r}, not one of {', '.join(KINDS)}")
        if sample.kind == "photo" and len(sample.crop) > LARGEST_CROP:
            raise ConfigError(f"a photo's crop has {len(sample.crop)} bytes")
        if sample.kind == "voice" and sample.crop:
            raise ConfigError("a voice has no crop: sound is never kept")
        if not _DIGEST.fullmatch(sample.digest) or not 0.0 <= sample.quality <= 1.0:
            raise ConfigError("a sample's digest must be 64 hex digits and its quality 0 to 1")
