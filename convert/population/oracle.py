"""The best anybody could do on a population: the physical limit of its benchmark.

The law that joins voice and face is known, so Bayes' rule gives the score of the ideal observer:
log p(face | voice) - log p(face), summed over every speaker it could be: both sexes, at every age
of a grid. Two observers are computed. The exact one knows sex, years and vocal-tract length of the
speaker. The acoustic one knows only what was put into the sound: every acoustic parameter the clips
were rendered with, without error, and the sex of whoever was recorded, but not who has them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.types import Float32

from .law import (
    AGE_CLASSES,
    F0_SD_ST,
    MIX,
    RECORDING_ODDS,
    SIZE_FROM_TRACT,
    YEARS,
    AgeClass,
    Person,
    median_f0,
    quality_law,
    vocal_tract,
)

Float64 = npt.NDArray[np.float64]
GRID_YEARS = 0.5  # step of the ages summed over
OTHER_SEX = -60.0  # log-likelihood of a face of the other sex: sex is 1:1
STRAY = 1.6  # assumption: a man who reads aloud at 190 Hz stays a man


@dataclass(frozen=True, slots=True)
class Candidates:
    """Everybody a speaker could be, one row each."""

    male: npt.NDArray[np.bool_]
    child: npt.NDArray[np.bool_]
    years: Float64
    log_share: Float64  # log of their share of the population
    tract_mean: Float64  # cm
    tract_sd: Float64
    source: Mapping[str, Float64]  # parameters of the source's distributions


def exact_scores(people: Sequence[Person]) -> Float32:
    """Return the exact observer's score of voice i for face j, (n, n)."""
    looks = _looks(people, np.array([p.male for p in people]), np.array([p.years for p in people]))
    z = np.array([p.vtl_z for p in people])
    own = looks + _size_given_tract(people, np.broadcast_to(z, looks.shape))
    return (own.T - _face_prior(people, candidates())).astype(np.float32)


def acoustic_scores(people: Sequence[Person], speakers: Sequence[Person] | None = None) -> Float32:
    """Return the acoustic observer's score of each speaker's voice for each one's face, (m, n).

    Args:
        people: whose faces are scored.
        speakers: whose voices are heard; everybody's by default.
    """
    everybody = candidates()
    looks = _looks(people, everybody.male, everybody.years)
    prior = _face_prior(people, everybody)
    scores = []
    for speaker in people if speakers is None else speakers:
        z = (speaker.vtl_cm - everybody.tract_mean) / everybody.tract_sd
        weight = everybody.log_share - 0.5 * z**2 - np.log(everybody.tract_sd)
        weight += _source_likelihood(speaker, everybody.source)
        weight += _recording_likelihood(speaker, everybody)
        weight -= _log_sum(weight, axis=0)
        likely = weight > -20.0
        sizes = _size_given_tract(people, np.broadcast_to(z[likely], (len(people), likely.sum())))
        scores.append(_log_sum(looks[:, likely] + sizes + weight[likely], axis=1) - prior)
    return np.array(scores, dtype=np.float32)


def sex_and_childhood(speakers: Sequence[Person]) -> list[tuple[float, float]]:
    """Return P(female) and P(child) of voices, from F0, vocal-tract length and recording.

    F0 may stray `STRAY` times as far from its class's mean as the law says: people raise their
    voices, read aloud or whisper, while the vocal tract stays what it is. What else a recording
    tells of an adult's sex counts for `RECORDING_ODDS`.
    """
    everybody = candidates()
    sd = everybody.source["f0_sd"] * STRAY
    odds = math.log(RECORDING_ODDS)
    found = []
    for speaker in speakers:
        tract = (speaker.vtl_cm - everybody.tract_mean) / everybody.tract_sd
        pitch = (math.log2(speaker.f0_hz) - everybody.source["f0_mean"]) / sd
        weight = everybody.log_share - 0.5 * (tract**2 + pitch**2)
        weight -= np.log(everybody.tract_sd * sd)
        if speaker.recorded:
            weight += np.where(
                everybody.child | (everybody.male == speaker.recorded_male), 0.0, -odds
            )
        share = np.exp(weight - _log_sum(weight, axis=0))
        found.append((float(share @ ~everybody.male), float(share @ everybody.child)))
    return found


def candidates() -> Candidates:
    """Return both sexes at every age of the grid."""
    rows = []
    for age_class, share in zip(AGE_CLASSES, MIX, strict=True):
        youngest, oldest = YEARS[age_class]
        ages = np.arange(youngest + GRID_YEARS / 2, oldest, GRID_YEARS)
        rows += [
            (male, age_class, float(years), math.log(share / 2 / len(ages)))
            for male in (True, False)
            for years in ages
        ]
    tracts = np.array([vocal_tract(*row[:3]) for row in rows])
    sources = [_source_parameters(*row[:3]) for row in rows]
    return Candidates(
        np.array([row[0] for row in rows]),
        np.array([row[1] == "child" for row in rows]),
        np.array([row[2] for row in rows]),
        np.array([row[3] for row in rows]),
        tracts[:, 0],
        tracts[:, 1],
        {name: np.array([source[name] for source in sources]) for name in sources[0]},
    )


def _looks(faces: Sequence[Person], male: npt.NDArray[np.bool_], years: Float64) -> Float64:
    """Return log p(sex and age a face shows | sex and years of k), (faces, k)."""
    shown = np.array([p.face_years for p in faces])[:, None]
    spread = 0.4 + 0.06 * years
    density = -0.5 * ((shown - years) / spread) ** 2 - np.log(spread)
    same = np.array([p.male for p in faces])[:, None] == male
    return np.asarray(np.where(same, density, density + OTHER_SEX))


def _size_given_tract(faces: Sequence[Person], z: Float64) -> Float64:
    """Return log p(size of face i | standardised vocal tract z[i, k]), (faces, k)."""
    size = np.array([p.size for p in faces])[:, None]
    left = 1 - SIZE_FROM_TRACT**2
    return np.asarray(-0.5 * (size - SIZE_FROM_TRACT * z) ** 2 / left - 0.5 * math.log(left))


def _face_prior(faces: Sequence[Person], everybody: Candidates) -> Float64:
    """Return log p(face), (faces,); the size axis has mean 0 and standard deviation 1."""
    size = np.array([p.size for p in faces])
    looks = _looks(faces, everybody.male, everybody.years)
    return np.asarray(_log_sum(looks + everybody.log_share, axis=1) - 0.5 * size**2)


def _source_parameters(male: bool, age_class: AgeClass, years: float) -> dict[str, float]:
    law = quality_law(male, age_class, years)
    a, b, scale = law.breath
    return {
        "f0_mean": math.log2(median_f0(male, age_class, years)),
        "f0_sd": F0_SD_ST[age_class][male] / 12,
        "jitter_mean": math.log(law.jitter[0]),
        "jitter_sd": law.jitter[1],
        "shimmer_mean": math.log(law.shimmer_db[0]),
        "shimmer_sd": law.shimmer_db[1],
        "tempo_mean": law.tempo[0],
        "tempo_sd": law.tempo[1],
        "melody_mean": law.f0_sd_st[0],
        "melody_sd": law.f0_sd_st[1],
        "breath_a": a,
        "breath_b": b,
        "breath_scale": scale,
        "breath_norm": math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b),
        "tremor": law.tremor,
    }


def _source_likelihood(voice: Person, law: Mapping[str, Float64]) -> Float64:
    """Return log p(source parameters of the voice | sex and age of k), (k,)."""
    heard = {
        "f0": math.log2(voice.f0_hz),
        "jitter": math.log(voice.jitter),
        "shimmer": math.log(voice.shimmer_db),
        "tempo": voice.tempo,
        "melody": voice.f0_sd_st,
    }
    density = law["breath_norm"] - np.log(law["breath_scale"])
    for name, value in heard.items():
        mean, sd = law[f"{name}_mean"], law[f"{name}_sd"]
        density = density - 0.5 * ((value - mean) / sd) ** 2 - np.log(sd)
    share = np.clip(voice.breathiness / law["breath_scale"], 1e-4, 1 - 1e-4)
    density += (law["breath_a"] - 1) * np.log(share) + (law["breath_b"] - 1) * np.log(1 - share)
    trembles = law["tremor"] if voice.tremor > 0 else 1 - law["tremor"]
    return np.asarray(density + np.log(np.maximum(trembles, 1e-9)))


def _recording_likelihood(voice: Person, everybody: Candidates) -> Float64:
    """Return log p(sex of whoever was recorded for the voice | k), (k,); children's is either."""
    if not voice.recorded or voice.age_class == "child":
        return np.zeros(len(everybody.male))
    same = everybody.male == voice.recorded_male
    adult = np.where(same, RECORDING_ODDS, 1.0) / (1.0 + RECORDING_ODDS)
    return np.where(everybody.child, math.log(0.5), np.log(adult))


def _log_sum(x: Float64, axis: int) -> Float64:
    top = x.max(axis=axis, keepdims=True)
    return np.asarray(np.log(np.exp(x - top).sum(axis=axis)) + top.squeeze(axis))
