"""The values that travel between stages: frozen, with unit and shape beside each field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Int8 = npt.NDArray[np.int8]
UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Recording:
    """Sound as the front-end wants it."""

    samples: Float32  # (n,), nominal range -1..1, 16 kHz mono
    source: str  # what the user called it: a path, "microphone", ...


@dataclass(frozen=True, slots=True)
class Utterance:
    """One stretch of speech cut from a recording."""

    samples: Float32  # (n,), 16 kHz mono; pauses inside are kept
    start_s: float  # seconds from the start of the recording
    end_s: float
    source: str


@dataclass(frozen=True, slots=True)
class Traits:
    """What a voice says about its speaker: estimates for a population, never an identification."""

    female: float  # probability, 0..1
    child: float  # probability, 0..1
    f0_hz: float  # median fundamental frequency
    vocal_tract_cm: float  # acoustic vocal-tract length
    age_years: float | None = None  # median estimate; None when the bundle claims no age
    age_interval: tuple[float, float] | None = None  # years; eight in ten of such voices lie within


@dataclass(frozen=True, slots=True)
class VoicePrint:
    """What the voice encoder makes of one utterance."""

    embedding: Float32  # (d,), unit length
    traits: Traits
    windows: int  # number of encoder windows averaged


@dataclass(frozen=True, slots=True)
class Match:
    """One person of the gallery, ranked for a voice."""

    rank: int  # 1 is the best
    id: str
    name: str
    score: float  # cosine, -1..1


@dataclass(frozen=True, slots=True)
class Portrait:
    """A typical face for a voice: a guess, never a likeness of the speaker."""

    pixels: UInt8  # (h, w, 3), sRGB


@dataclass(frozen=True, slots=True)
class Timings:
    """CPU-side wall time of each stage for one utterance, milliseconds."""

    frontend: float
    encode: float
    match: float
    decode: float


@dataclass(frozen=True, slots=True)
class Sighting:
    """Everything one utterance gave."""

    utterance: Utterance
    voice: VoicePrint
    matches: tuple[Match, ...]  # best first
    portrait: Portrait | None  # None when the bundle has no decoder
    timings: Timings

    def as_json(self, portrait_path: str | None) -> dict[str, Any]:
        """Return the public JSON form (README, "The JSON it prints")."""
        return {
            "source": self.utterance.source,
            "start_s": round(self.utterance.start_s, 3),
            "end_s": round(self.utterance.end_s, 3),
            "matches": [
                {"rank": m.rank, "id": m.id, "name": m.name, "score": round(m.score, 4)}
                for m in self.matches
            ],
            "traits": {
                "female": round(self.voice.traits.female, 4),
                "child": round(self.voice.traits.child, 4),
                "f0_hz": round(self.voice.traits.f0_hz, 1),
                "vocal_tract_cm": round(self.voice.traits.vocal_tract_cm, 2),
                "age_years": _rounded(self.voice.traits.age_years),
                "age_interval": [_rounded(y) for y in self.voice.traits.age_interval or ()] or None,
            },
            "portrait": portrait_path,
            "timings_ms": {
                "frontend": round(self.timings.frontend, 3),
                "encode": round(self.timings.encode, 3),
                "match": round(self.timings.match, 3),
                "decode": round(self.timings.decode, 3),
            },
        }


def _rounded(years: float | None) -> float | None:
    return None if years is None else round(years, 1)
