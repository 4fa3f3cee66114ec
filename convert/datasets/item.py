"""One file of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["voice", "face"]


@dataclass(frozen=True, slots=True)
class Item:
    """A voice or a face of somebody, where it lies and what the published lists call it."""

    id: str  # path as the lists write it, id10117/59-3D0HIDAc/00001.wav or CCH_Pounder/00000657.jpg
    path: Path  # of the file
    kind: Kind
    person: str  # the same for a person's voices and faces; of a split, its VoxCeleb1 id
