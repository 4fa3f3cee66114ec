"""What to tell whoever enrols a person: photos that repeat each other, or do not fit together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations

import numpy as np

from ..types import Float32, UInt8
from .enrolment import EnrolledPhoto

ENOUGH = 3  # photos
SAME_PICTURE = 4.0  # mean grey difference of two 16 x 16 thumbnails, 0..255
SAME_SHOT = 0.985  # cosine; nine in ten pairs of a person's varied photos are less alike
STRANGER = 0.5  # cosine to the mean of the others below which a photo may show somebody else


def advise(photos: Sequence[EnrolledPhoto], known: Sequence[EnrolledPhoto] = ()) -> Iterator[str]:
    """Yield advice about the photos of one person, each a sentence; nothing when all is well.

    Args:
        photos: new ones.
        known: those the person has already; the new ones are compared with them too.
    """
    different: list[EnrolledPhoto] = []
    for number, photo in enumerate((*known, *photos)):
        said = _repeats(photo, different)
        if not said:
            different.append(photo)
        elif number >= len(known):
            yield said
    yield from _strangers(different, {photo.name for photo in photos})
    if len(different) < ENOUGH:
        yield (
            f"{len(different)} photo{'s' * (len(different) != 1)}: {ENOUGH} or more, on different "
            "days and in different light, find the person more surely"
        )
    elif all(_cosine(a, b) > SAME_SHOT for a, b in combinations(different, 2)):
        yield "the photos are much alike: others, in another light or from another side, help more"


def _repeats(photo: EnrolledPhoto, others: Sequence[EnrolledPhoto]) -> str:
    """Return what a photo repeats; "" when it shows something new."""
    for other in others:
        if other.sample.digest == photo.sample.digest:
            return f"{photo.name} is the same file as {other.name}"
        if _difference(other.crop, photo.crop) < SAME_PICTURE:
            return f"{photo.name} shows nearly the same as {other.name} and adds little"
    return ""


def _strangers(photos: Sequence[EnrolledPhoto], new: Collection[str]) -> Iterator[str]:
    if len(photos) < ENOUGH:
        return
    for photo in photos:
        if photo.name not in new:
            continue
        others = np.mean([p.sample.embedding for p in photos if p is not photo], axis=0)
        length = float(np.linalg.norm(others))
        if length > 0 and float(others @ photo.sample.embedding) / length < STRANGER:
            yield f"{photo.name} looks unlike the other photos: is it the same person?"


def _cosine(a: EnrolledPhoto, b: EnrolledPhoto) -> float:
    return float(a.sample.embedding @ b.sample.embedding)


def _difference(a: UInt8, b: UInt8) -> float:
    """Return the mean absolute difference of two crops (112, 112, 3) seen very small."""
    return float(np.abs(_small(a) - _small(b)).mean())


def _small(crop: UInt8) -> Float32:
    grey = crop.astype(np.float32).mean(axis=2)
    return np.asarray(grey.reshape(16, 7, 16, 7).mean(axis=(1, 3)), np.float32)
