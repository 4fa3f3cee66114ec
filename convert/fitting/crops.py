"""Batches of the Shape of Sound recipe: crops of voices, turned and mirrored faces (section 1, 2).

A batch is a pure function of seed and step, so that an interrupted run goes on with the same ones,
and so that the workers of a cluster agree on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.errors import ConfigError
from edge.types import Float32

from ..datasets.reading import PADDING, published_face
from .people import Person

CLIP = 160_000  # samples: 10 s, to which shorter sound is repeated
SHORTEST, LONGEST = 40_000, 80_000  # samples of a crop, 2.5 to 5 s; the longest is not reached
ANGLES = (-15, 14)  # degrees, both inclusive


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step sees; row i is one person."""

    samples: Float32  # (n, length), -1..1, one length and one start for all
    faces: Float32  # (n, 112, 112, 3), sRGB 0..1
    who: npt.NDArray[np.int32]  # (n,) index into the people


class Sampler:
    """One random voice and one random face of each person of a batch."""

    def __init__(self, people: Sequence[Person], size: int, seed: int, threads: int) -> None:
        """Take the people.

        Args:
            people: of the training split.
            size: people in a batch.
            seed: of every draw.
            threads: files read at a time.

        Raises:
            ConfigError: there are fewer people than a batch needs.
        """
        if not 2 <= size <= len(people):
            raise ConfigError(
                f"--batch: is {size}, must be 2 to {len(people)}, as many as have voice and face"
            )
        self._people, self._size, self._seed = people, size, seed
        self._pool = ThreadPoolExecutor(threads)

    def make(self, step: int) -> Batch:
        """Return the batch of a step; an epoch shows everybody once, but for the remainder.

        Raises:
            InputError: a file cannot be used; names it.
        """
        steps = len(self._people) // self._size  # of an epoch
        order = np.random.default_rng([self._seed, 1, step // steps]).permutation(len(self._people))
        who = order[step % steps * self._size :][: self._size]
        rng = np.random.default_rng([self._seed, 2, step])
        length = int(rng.integers(SHORTEST, LONGEST))
        start = int(rng.integers(0, CLIP - length))
        voices, faces, turns = [], [], []
        for index in who:
            person = self._people[index]
            voices.append(person.voices[rng.integers(len(person.voices))].path)
            faces.append(person.faces[rng.integers(len(person.faces))].path)
            turns.append((bool(rng.random() < 0.5), _angle(rng)))
        samples = self._pool.map(read_clip, voices)
        pictures = self._pool.map(turned_face, faces, turns)
        return Batch(
            np.stack([clip[start : start + length] for clip in samples]),
            np.stack(list(pictures)),
            who.astype(np.int32),
        )


def read_clip(path: Path) -> Float32:
    """Return ten seconds (160000,) of a recording, repeated as often as it takes.

    Raises:
        InputError: it cannot be used; names it.
    """
    from edge.audio.file import read_recording

    return np.resize(read_recording(path).samples, CLIP)


def read_picture(path: Path) -> Float32:
    """Return a face (112, 112, 3), 0..1, as it is.

    Raises:
        InputError: it cannot be used; names it.
    """
    return published_face(path).astype(np.float32) / np.float32(255.0)


def turned_face(path: Path, turn: tuple[bool, int]) -> Float32:
    """Return a face (112, 112, 3), 0..1, mirrored or not and turned by degrees.

    Raises:
        InputError: it cannot be used; names it.
    """
    from PIL import Image

    mirrored, angle = turn
    picture = published_face(path)
    if mirrored:
        picture = picture[:, ::-1]
    if angle:
        image = Image.fromarray(picture)
        turned = image.rotate(angle, Image.Resampling.BILINEAR, fillcolor=(PADDING,) * 3)
        picture = np.asarray(turned, np.uint8)
    return picture.astype(np.float32) / np.float32(255.0)


def _angle(rng: np.random.Generator) -> int:
    """Return a whole number of degrees, half of the time 0."""
    return int(rng.integers(ANGLES[0], ANGLES[1] + 1)) if rng.random() < 0.5 else 0
