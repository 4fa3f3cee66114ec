"""The population as arrays, indexed by person, ready for batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.types import Float32, Int8, UInt8

from ..population.law import AGE_CLASSES, Person
from ..population.oracle import sex_and_childhood
from ..population.people import Split, load_people, split_of
from ..population.pictures import load_pictures
from ..recipe import PopulationRecipe
from .features import load_features

Index = npt.NDArray[np.intp]

# mean and standard deviation by which a quantity is standardised for a network's output
LN_F0 = (5.22, 0.38)  # 185 Hz
LN_VTL = (2.72, 0.16)  # 15.2 cm
YEARS = (42.0, 27.0)


@dataclass(frozen=True, slots=True)
class Labels:
    """What is known of each person, standardised; row i is person i."""

    female: Float32  # 0 or 1; for voice_only what F0, vocal tract and recording leave open, 0..1
    sex_weight: Float32  # 1, .25 for children (hardly audible)
    child: Float32  # 0 or 1; for voice_only 0..1
    age_class: npt.NDArray[np.int32]  # index into AGE_CLASSES
    age_weight: Float32  # 0 for voice_only
    acoustic: Float32  # (n, 2) standardised ln F0, ln vocal tract
    quality: Float32  # (n, 6) standardised breath, tempo, ln jitter, ln shimmer, tilt, melody
    quality_weight: Float32  # 0 for who is resampled
    body: Float32  # (n, 3) standardised years of the face, size axis, years of the voice


@dataclass(frozen=True, slots=True)
class Dataset:
    """People with the features of their clips and their pictures."""

    people: tuple[Person, ...]
    splits: tuple[Split, ...]
    labels: Labels
    codes: Int8  # (clips, versions, frames, mels)
    clips_of: tuple[Index, ...]  # person → rows of `codes`
    pictures: tuple[UInt8 | None, ...]  # person → (1 + photos, 128, 128, 3), canonical first

    def rows(self, kind: str, split: Split) -> Index:
        """Return the people of one kind and split who have everything their kind needs."""
        return np.array(
            [
                i
                for i, (person, own) in enumerate(zip(self.people, self.splits, strict=True))
                if person.kind == kind
                and own == split
                and (kind == "face_only" or len(self.clips_of[i]))
                and (kind == "voice_only" or self.pictures[i] is not None)
            ],
            dtype=np.intp,
        )


def load_dataset(work: Path, recipe: PopulationRecipe) -> Dataset:
    """Read a finished population and its features from a work folder."""
    people = tuple(load_people(work / "people.jsonl"))
    features = load_features(work / "features")
    owned: dict[str, list[int]] = {}
    for row, owner in enumerate(features.owners):
        owned.setdefault(owner, []).append(row)
    pictures: dict[str, UInt8] = {}
    for folder in ("faces", "faces_only"):
        loaded = load_pictures(work / folder)
        for i, name in enumerate(loaded.ids):
            pictures[name] = np.concatenate([loaded.canonical[i : i + 1], loaded.photos[i]])
    return Dataset(
        people,
        tuple(split_of(p, recipe) for p in people),
        labels_of(people),
        features.codes,
        tuple(np.array(owned.get(p.id, []), dtype=np.intp) for p in people),
        tuple(pictures.get(p.id) for p in people),
    )


def labels_of(people: Sequence[Person]) -> Labels:
    """Return the standardised labels of people."""

    def column(values: list[float]) -> Float32:
        return np.array(values, dtype=np.float32)

    def sex_weight(person: Person) -> float:
        child = person.kind != "voice_only" and person.age_class == "child"
        return 0.25 if child else 1.0

    acoustic = [
        [
            (np.log(p.f0_hz) - LN_F0[0]) / LN_F0[1],
            (np.log(p.vtl_cm) - LN_VTL[0]) / LN_VTL[1],
        ]
        for p in people
    ]
    body = [
        [
            (p.face_years - YEARS[0]) / YEARS[1],
            np.clip(p.size, -2.5, 2.5),
            (p.years - YEARS[0]) / YEARS[1],
        ]
        for p in people
    ]
    female, child = _sex_and_childhood(people)
    return Labels(
        female=column(female),
        sex_weight=column([sex_weight(p) for p in people]),
        child=column(child),
        age_class=np.array([AGE_CLASSES.index(p.age_class) for p in people], dtype=np.int32),
        age_weight=column([float(p.kind != "voice_only") for p in people]),
        acoustic=np.array(acoustic, dtype=np.float32),
        quality=_quality(people),
        quality_weight=column([float(not p.resampled) for p in people]),
        body=np.array(body, dtype=np.float32),
    )


def _sex_and_childhood(people: Sequence[Person]) -> tuple[list[float], list[float]]:
    """Return P(female) and P(child): known, or for voice_only what their sound leaves open."""
    female = [float(not p.male) for p in people]
    child = [float(p.age_class == "child") for p in people]
    decorrelated = [i for i, p in enumerate(people) if p.kind == "voice_only"]
    heard = sex_and_childhood([people[i] for i in decorrelated])
    for i, (own_female, own_child) in zip(decorrelated, heard, strict=True):
        female[i], child[i] = own_female, own_child
    return female, child


def _quality(people: Sequence[Person]) -> Float32:
    """Return the source's parameters (n, 6), standardised by what the law makes usual."""
    values = [
        [p.breathiness, p.tempo, np.log(p.jitter), np.log(p.shimmer_db), p.tilt_db, p.f0_sd_st]
        for p in people
    ]
    mean, std = (0.22, 0.97, -5.05, -0.95, -0.7, 2.7), (0.13, 0.12, 0.52, 0.48, 2.1, 0.8)
    standard = (np.array(values).reshape(-1, 6) - mean) / std
    return np.clip(standard, -3.0, 3.0).astype(np.float32)
