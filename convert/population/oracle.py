"""The best anybody could do on a population: the physical limit of its benchmark.

The law that joins voice and face is known, so Bayes' rule gives the score of the ideal observer:
log p(face | voice) - log p(face), with the unknown latents summed over a Monte Carlo sample of the
law. Two observers are computed. The exact one knows sex, years and vocal-tract length of the
speaker. The acoustic one knows only what was put into the sound: every acoustic parameter the clips
were rendered with, without error, but not who has them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from edge.types import Float32

from .law import (
    F0_SD_ST,
    SIZE_FROM_TRACT,
    Person,
    draw_person,
    median_f0,
    quality_law,
    vocal_tract,
)

Float64 = npt.NDArray[np.float64]
SAMPLE = 4000  # people of the law that the sums run over
SAMPLE_SEED = 777
STRAY = 1.6  # assumption: a man who reads aloud at 190 Hz stays a man


def exact_scores(people: Sequence[Person]) -> Float32:
    """Return the exact observer's score of voice i for face j, (n, n)."""
    sample = _sample()
    z = np.array([p.vtl_z for p in people])
    own = _face_given_latents(people, np.broadcast_to(z, (len(people), len(people))), people)
    return (own.T - _face_prior(sample, people)).astype(np.float32)


def acoustic_scores(people: Sequence[Person], speakers: Sequence[Person] | None = None) -> Float32:
    """Return the acoustic observer's score of each speaker's voice for each one's face, (m, n).

    Args:
        people: whose faces are scored.
        speakers: whose voices are heard; everybody's by default.
    """
    sample = _sample()
    speakers = people if speakers is None else speakers
    prior = _face_prior(sample, people)
    law = _source_table(sample)
    means = np.array([vocal_tract(p.male, p.age_class, p.years) for p in sample])
    scores = np.empty((len(speakers), len(people)), np.float32)
    for i, speaker in enumerate(speakers):
        z = (speaker.vtl_cm - means[:, 0]) / means[:, 1]  # what each candidate's z would be
        weight = -0.5 * z**2 - np.log(means[:, 1]) + _voice_likelihood(speaker, law)
        weight -= _log_sum(weight, axis=0)
        likely = np.flatnonzero(weight > -14.0)
        some = [sample[k] for k in likely]
        faces = _face_given_latents(
            people, np.broadcast_to(z[likely], (len(people), len(some))), some
        )
        scores[i] = _log_sum(faces + weight[likely], axis=1) - prior
    return scores


def sex_and_childhood(speakers: Sequence[Person]) -> list[tuple[float, float]]:
    """Return P(female) and P(child) of voices, from F0 and vocal-tract length alone.

    F0 may stray `STRAY` times as far from its class's mean as the law says: people raise their
    voices, read aloud or whisper, while the vocal tract stays what it is.
    """
    sample = _sample()
    law = _source_table(sample)
    means = np.array([vocal_tract(p.male, p.age_class, p.years) for p in sample])
    female = np.array([not p.male for p in sample])
    child = np.array([p.age_class == "child" for p in sample])
    sd = law["f0_sd"] * STRAY
    found = []
    for speaker in speakers:
        tract = (speaker.vtl_cm - means[:, 0]) / means[:, 1]
        pitch = (math.log2(speaker.f0_hz) - law["f0_mean"]) / sd
        weight = -0.5 * (tract**2 + pitch**2) - np.log(means[:, 1] * sd)
        weight = np.exp(weight - weight.max())
        weight /= weight.sum()
        found.append((float(weight @ female), float(weight @ child)))
    return found


def _sample() -> list[Person]:
    return [draw_person("paired", k, SAMPLE_SEED) for k in range(SAMPLE)]


def _face_given_latents(faces: Sequence[Person], z: Float64, latents: Sequence[Person]) -> Float64:
    """Return log p(face i | sex, years of k and vocal tract z[i, k]), (faces, latents)."""
    years = np.array([p.years for p in latents])
    spread = 0.4 + 0.06 * years
    looks = np.array([p.face_years for p in faces])[:, None]
    size = np.array([p.size for p in faces])[:, None]
    left = 1 - SIZE_FROM_TRACT**2
    density = -0.5 * ((looks - years) / spread) ** 2 - np.log(spread)
    density = density - 0.5 * (size - SIZE_FROM_TRACT * z) ** 2 / left
    same = np.array([p.male for p in faces])[:, None] == np.array([p.male for p in latents])
    scores: Float64 = np.where(same, density, density - 60.0)
    return scores


def _face_prior(sample: Sequence[Person], faces: Sequence[Person]) -> Float64:
    """Return log p(face), (faces,)."""
    z = np.array([p.vtl_z for p in sample])
    density = _face_given_latents(faces, np.broadcast_to(z, (len(faces), len(sample))), sample)
    prior: Float64 = _log_sum(density, axis=1) - np.log(len(sample))
    return prior


def _source_table(sample: Sequence[Person]) -> dict[str, Float64]:
    """Return the parameters of each candidate's source distributions, one array (sample,) each."""
    rows = []
    for person in sample:
        law = quality_law(person.male, person.age_class, person.years)
        rows.append(
            {
                "f0_mean": math.log2(median_f0(person.male, person.age_class, person.years)),
                "f0_sd": F0_SD_ST[person.age_class][person.male] / 12,
                "jitter_mean": math.log(law.jitter[0]),
                "jitter_sd": law.jitter[1],
                "shimmer_mean": math.log(law.shimmer_db[0]),
                "shimmer_sd": law.shimmer_db[1],
                "tempo_mean": law.tempo[0],
                "tempo_sd": law.tempo[1],
                "melody_mean": law.f0_sd_st[0],
                "melody_sd": law.f0_sd_st[1],
                "breath_a": law.breath[0],
                "breath_b": law.breath[1],
                "breath_scale": law.breath[2],
                "breath_norm": math.lgamma(law.breath[0] + law.breath[1])
                - math.lgamma(law.breath[0])
                - math.lgamma(law.breath[1]),
                "tremor": law.tremor,
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _voice_likelihood(voice: Person, law: Mapping[str, Float64]) -> Float64:
    """Return log p(source parameters of the voice | sex and age of k), (sample,)."""
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


def _log_sum(x: Float64, axis: int) -> Float64:
    top = x.max(axis=axis, keepdims=True)
    return np.asarray(np.log(np.exp(x - top).sum(axis=axis)) + top.squeeze(axis))
