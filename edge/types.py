"""The values that travel between stages: frozen, with unit and shape beside each field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Int8 = npt.NDArray[np.int8]
UInt8 = npt.NDArray[np.uint8]

AGE_RANGE = (4.0, 90.0)  # years; of the population, beyond which nothing is heard or drawn


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

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {
            "female": round(self.female, 4),
            "child": round(self.child, 4),
            "f0_hz": round(self.f0_hz, 1),
            "vocal_tract_cm": round(self.vocal_tract_cm, 2),
            "age_years": _rounded(self.age_years),
            "age_interval": [_rounded(y) for y in self.age_interval or ()] or None,
        }


@dataclass(frozen=True, slots=True)
class VoicePrint:
    """What the voice encoder makes of one utterance."""

    embedding: Float32  # (d,), unit length
    traits: Traits | None  # None when the bundle estimates none
    windows: int  # number of encoder windows averaged


@dataclass(frozen=True, slots=True)
class Match:
    """One person of the gallery, ranked for a voice."""

    rank: int  # 1 is the best
    id: str
    name: str
    score: float  # cosine, -1..1
    kind: Literal["photo", "voice"] = "photo"  # which samples of theirs came nearest


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one ranking is worth, by what the bundle measured on speakers it was not trained on."""

    named: bool  # the best match is beyond what unknown speakers reach at the asked rate
    near: bool  # it is not, but nearly: worth asking "was this ...?"
    probability: float  # that the best is the speaker, if as many speakers are enrolled as not
    why: str  # one line for a person to read

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form (README, "The JSON it prints")."""
        return {"named": self.named, "probability": round(self.probability, 4), "why": self.why}


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
    verdict: Verdict | None = None  # None when the bundle does not say what scores mean

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
            "verdict": self.verdict.as_json() if self.verdict else None,
            "traits": self.voice.traits.as_json() if self.voice.traits else None,
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
