"""The population as arrays, indexed by person, ready for batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.types import Float32, Int8, UInt8

from ..population.law import AGE_CLASSES, Person
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

    female: Float32  # 0 or 1
    sex_weight: Float32  # 1, .25 for children (hardly audible), 0 for voice_only
    age_class: npt.NDArray[np.int32]  # index into AGE_CLASSES
    age_weight: Float32  # 0 for voice_only
    acoustic: Float32  # (n, 2) standardised ln F0, ln vocal tract
    body: Float32  # (n, 2) standardised years, size axis


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
        if person.kind == "voice_only":
            return 0.0
        return 0.25 if person.age_class == "child" else 1.0

    acoustic = [
        [
            (np.log(p.f0_hz) - LN_F0[0]) / LN_F0[1],
            (np.log(p.vtl_cm) - LN_VTL[0]) / LN_VTL[1],
        ]
        for p in people
    ]
    body = [[(p.face_years - YEARS[0]) / YEARS[1], np.clip(p.size, -2.5, 2.5)] for p in people]
    return Labels(
        female=column([float(not p.male) for p in people]),
        sex_weight=column([sex_weight(p) for p in people]),
        age_class=np.array([AGE_CLASSES.index(p.age_class) for p in people], dtype=np.int32),
        age_weight=column([float(p.kind != "voice_only") for p in people]),
        acoustic=np.array(acoustic, dtype=np.float32),
        body=np.array(body, dtype=np.float32),
    )
