"""A few people under the published names: VoxCeleb1's voices, VGGFace's faces, the lists.

Unless people are given, they are made up: somebody's pitch and the colour of the face say the same,
so that there is something to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from edge.audio.file import pack_wav

HEADER = "VoxCeleb1_ID,VGGFace1_ID,Gender,Nationality,Set\n"
SPLITS = {"val": "AB", "test": "CDE", "train": "FGHKLM"}
VIDEOS = ("59-3D0HIDAc", "hisw7lDJQp4")
PICTURES = (1, 17, 344)  # their numbers


@dataclass(frozen=True)
class Likeness:
    """What is known of a person: as many recordings and pictures as there are names for."""

    female: bool
    sounds: Sequence[np.ndarray]  # float32 -1..1 at 16 kHz
    pictures: Sequence[np.ndarray]  # (h, w, 3) uint8


@dataclass(frozen=True)
class Somebody:
    """A person of either data set."""

    voice: str
    face: str
    female: bool

    @property
    def voices(self) -> list[str]:
        """Return the names of the recordings."""
        return [f"{self.voice}/{video}/00001.wav" for video in VIDEOS]

    @property
    def faces(self) -> list[str]:
        """Return the names of the pictures."""
        return [f"{self.face}/{number:08d}.jpg" for number in PICTURES]


def lay_out(
    root: Path, per_letter: int = 2, likenesses: Sequence[Likeness] = ()
) -> dict[str, list[Somebody]]:
    """Write `root`/vox1/wav, `root`/vgg and `root`/lists; return who is in which split.

    Args:
        root: made here.
        per_letter: people whose names begin with each of the eleven letters.
        likenesses: of all of them, or nothing.
    """
    rng = np.random.default_rng(5)
    given = iter(likenesses)
    everybody: dict[str, list[Somebody]] = {}
    number = 10_000
    (root / "lists").mkdir(parents=True)
    for split, letters in SPLITS.items():
        people = []
        for i, letter in enumerate(letters * per_letter):
            number += 1
            name = f"{letter}._{split.title()}_{i}"
            likeness = next(given, None)
            if likeness is None:
                likeness = _made_up(i % 2 == 0, rng)
            people.append(Somebody(f"id{number}", name, likeness.female))
            _write(root, people[-1], likeness)
        everybody[split] = people
        rows = [f"{p.voice},{p.face},{'fm'[not p.female]},USA,dev\n" for p in people]
        unused = f"id{number + 500},{split}_nobody,m,India,none\n"
        (root / "lists" / f"vox1_{split}.csv").write_text(HEADER + "".join(rows) + unused)
    for split in ("val", "test"):
        for name, text in _lists(everybody[split], split, rng):
            (root / "lists" / name).write_text(text)
    return everybody


def _made_up(female: bool, rng: np.random.Generator) -> Likeness:
    trait = float(rng.random())
    sounds, pictures = [], []
    for _ in VIDEOS:
        f0 = (180.0 if female else 95.0) * (1 + 0.5 * trait)
        phase = np.cumsum(f0 * (1 + 0.02 * rng.normal(size=24_000)) / 16_000)
        tone = sum(np.sin(2 * np.pi * k * phase) / k for k in range(1, 20))
        sounds.append(0.15 * (tone + rng.normal(0, 0.05, len(phase))))
    for _ in PICTURES:
        pixels = np.array([255 * female, 255 * trait, 128]) + rng.normal(0, 25, (128, 128, 3))
        pictures.append(np.clip(pixels, 0, 255).astype(np.uint8))
    return Likeness(female, sounds, pictures)


def _write(root: Path, person: Somebody, likeness: Likeness) -> None:
    for name, sound in zip(person.voices, likeness.sounds, strict=True):
        path = root / "vox1" / "wav" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(pack_wav(np.asarray(sound, np.float32)))
    for name, pixels in zip(person.faces, likeness.pictures, strict=True):
        path = root / "vgg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def _lists(people: list[Somebody], split: str, rng: np.random.Generator):
    voices = [(p, name) for p in people for name in p.voices]
    faces = [(p, name) for p in people for name in p.faces]
    for direction, asks, answers in (("v2f", voices, faces), ("f2v", faces, voices)):
        for stratum in ("", "g_"):
            match, verify = [], []
            for person, name in asks:
                right = [n for p, n in answers if p == person]
                wrong = [
                    n for p, n in answers
                    if p != person and (not stratum or p.female == person.female)
                ]  # fmt: skip
                match.append(f"{name} {rng.choice(right)} {rng.choice(wrong)}\n")
                verify += [f"{name} {rng.choice(right)}\n", f"{name} {rng.choice(wrong)}\n"]
            yield f"match_{stratum}{direction}_2_{split}.txt", "".join(match)
            yield f"verify_{stratum}{direction}_{split}.txt", "".join(verify)
        lines = (" ".join(name for _, name in half) for half in (asks, answers))
        yield f"reterival_{direction}_{split}.txt", "\n".join(lines) + "\n"
