"""Whether an encoder still tells people apart: same against different, nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.audio.frontend import FrontendSpec, encoder_input
from edge.errors import InputError
from edge.types import Float32

from ..importing.calibration import PICTURES, SOUNDS, read_face, real
from ..metrics import unit


@dataclass(frozen=True, slots=True)
class Labelled:
    """Inputs of several people."""

    inputs: Float32  # (n, ...)
    people: tuple[str, ...]  # (n,)


@dataclass(frozen=True, slots=True)
class Separation:
    """How embeddings of several people lie."""

    same: float  # mean cosine of two inputs of one person
    different: float  # of two people
    rank_1: float  # share of inputs whose nearest other one is of the same person

    @property
    def gap(self) -> float:
        """Mean cosine of same less different."""
        return self.same - self.different


def separation(embeddings: Float32, people: tuple[str, ...]) -> Separation:
    """Measure embeddings (n, d) of people who have two or more each."""
    cosine = unit(embeddings) @ unit(embeddings).T
    names = np.array(people)
    same = names[:, None] == names[None]
    other = ~np.eye(len(names), dtype=bool)
    nearest = np.where(other, cosine, -2.0).argmax(axis=1)
    return Separation(
        float(cosine[same & other].mean()),
        float(cosine[~same].mean()),
        float((names[nearest] == names).mean()),
    )


def labelled_voices(folder: Path, spec: FrontendSpec) -> Labelled:
    """Read FOLDER/SPEAKER/*.flac and the like; of each recording its middle clip.

    Raises:
        InputError: there are not two speakers with two recordings each.
    """
    from edge.audio.file import read_recording

    paths = _of_people(folder, SOUNDS)
    clips = [real(encoder_input(read_recording(path).samples, spec)) for path in paths]
    middle = np.stack([clip[len(clip) // 2] for clip in clips])
    return Labelled(middle, tuple(path.parent.name for path in paths))


def labelled_faces(folder: Path) -> Labelled:
    """Read FOLDER/PERSON/*.jpg and the like, framed as for enrolment.

    Raises:
        InputError: there are not two people with two photos each.
    """
    paths = _of_people(folder, PICTURES)
    pictures = np.stack([read_face(path) for path in paths]).astype(np.float32) / np.float32(255)
    return Labelled(pictures, tuple(path.parent.name for path in paths))


def _of_people(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    found = [p for p in sorted(folder.glob("*/*")) if p.suffix.lower() in suffixes]
    names = [path.parent.name for path in found]
    kept = [path for path in found if names.count(path.parent.name) > 1]
    if len({path.parent.name for path in kept}) < 2:
        raise InputError(
            f"{folder}: needs two sub-folders, one for each person, with two files or more each"
        )
    return kept
