"""Random batches, made in a background thread while the step before them runs."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from edge.types import Float32, UInt8

from ..networks.face import SIZE
from .dataset import Dataset, Index

T = TypeVar("T")
MARGIN = (128 - SIZE) // 2  # the centred crop the device makes


def voice_batch(data: Dataset, people: Index, rng: np.random.Generator) -> Float32:
    """Return one augmented, masked window per person: (n, frames, mels, 1), codes / 32.

    Masking (SpecAugment, Park et al. 2019) hides up to ten bands and forty frames with the
    window's own mean.
    """
    rows = [rng.choice(data.clips_of[p]) for p in people]
    versions = rng.integers(0, data.codes.shape[1], len(people))
    codes = data.codes[rows, versions].astype(np.float32)
    frames, mels = codes.shape[1:]
    for window in codes:
        mean = window.mean()
        if rng.random() < 0.4:
            width = int(rng.integers(2, 10))
            start = int(rng.integers(0, mels - width))
            window[:, start : start + width] = mean
        if rng.random() < 0.4:
            width = int(rng.integers(5, 40))
            start = int(rng.integers(0, frames - width))
            window[start : start + width] = mean
    return codes[..., None] / np.float32(32.0)


def face_batch(data: Dataset, people: Index, rng: np.random.Generator) -> Float32:
    """Return one picture per person, shifted, mirrored and re-lit: (n, 112, 112, 3), 0..1."""
    out = np.empty((len(people), SIZE, SIZE, 3), np.float32)
    for i, person in enumerate(people):
        pictures = data.pictures[person]
        if pictures is None:
            raise ValueError(f"{data.people[person].id} has no pictures")
        y, x = rng.integers(MARGIN - 4, MARGIN + 5, 2)
        crop = pictures[rng.integers(len(pictures)), y : y + SIZE, x : x + SIZE]
        out[i] = crop[:, ::-1] if rng.random() < 0.5 else crop
    gain = rng.normal(1.0, 0.12, (len(people), 1, 1, 1)).astype(np.float32)
    tint = rng.normal(0.0, 0.04, (len(people), 1, 1, 3)).astype(np.float32)
    return np.clip(out / np.float32(255.0) * gain + tint, 0.0, 1.0)


def centre_crop(pictures: UInt8) -> Float32:
    """Return pictures (n, 128, 128, 3) as the device frames them: (n, 112, 112, 3), 0..1."""
    crop = pictures[:, MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]
    return crop.astype(np.float32) / np.float32(255.0)


def prefetch(make: Callable[[int], T], start: int, stop: int) -> Iterator[T]:
    """Yield make(start) … make(stop - 1), at most two ahead of the consumer."""
    ready: queue.Queue[T | BaseException] = queue.Queue(maxsize=2)
    gone = threading.Event()

    def produce() -> None:
        try:
            for step in range(start, stop):
                item = make(step)
                while not gone.is_set():
                    try:
                        ready.put(item, timeout=0.5)
                        break
                    except queue.Full:
                        continue
                if gone.is_set():
                    return
        except BaseException as exc:  # handed to the consumer, which raises it
            ready.put(exc)

    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    try:
        for _ in range(start, stop):
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        gone.set()
