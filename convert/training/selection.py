"""Keeps the encoders that match the validation split best (Shape of Sound, section 7)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..metrics import matching_1_2, unit
from .dataset import Dataset, Index
from .model import Encoders

DRAWS = 3  # photos of each person, per look; and clips, which are heard together


class Best:
    """Remembers the best encoders on disk."""

    def __init__(self, model: Encoders, data: Dataset, folder: Path) -> None:
        import tensorflow as tf

        self.model, self.data = model, data
        self.rows = data.rows("paired", "validation")
        self.score = tf.Variable(0.0, dtype=tf.float32)
        self.checkpoint = tf.train.Checkpoint(voice=model.voice, face=model.face, score=self.score)
        self.manager = tf.train.CheckpointManager(self.checkpoint, str(folder), max_to_keep=1)
        if self.manager.latest_checkpoint:
            reader = tf.train.load_checkpoint(self.manager.latest_checkpoint)
            self.score.assign(reader.get_tensor("score/.ATTRIBUTES/VARIABLE_VALUE"))

    def look(self, *, keep: bool) -> str:
        """Measure the encoders as they are; `keep` them if they are the best so far; say so."""
        everybody, same_sex = validate(self.model, self.data, self.rows)
        mean = 0.5 * (everybody + same_sex)
        best = keep and mean > float(self.score.numpy())
        if best:
            self.score.assign(mean)
            self.manager.save()
        return (
            f"validation 1:2 voice→face {everybody:.3f}, same sex {same_sex:.3f} "
            f"({len(self.rows)} people){', best so far' if best else ''}"
        )

    def restore(self) -> None:
        """Bring the best encoders back, if any were kept."""
        if self.manager.latest_checkpoint:
            self.checkpoint.restore(self.manager.latest_checkpoint).expect_partial()


def validate(model: Encoders, data: Dataset, rows: Index) -> tuple[float, float]:
    """Return 1:2 matching voice→face, of everybody and within a sex."""
    figures = matching_figures(model, data, rows)
    return figures["v2f_U"], figures["v2f_G"]


def matching_figures(model: Encoders, data: Dataset, rows: Index) -> dict[str, float]:
    """Return 1:2 matching, v2f and f2v, of everybody (U) and within a sex (G).

    All clean clips of a person are heard together; the mean of `DRAWS` photos.
    """
    female = data.labels.female[rows]
    same_sex = female[:, None] == female[None]
    pictures = [p for p in (data.pictures[r] for r in rows) if p is not None]
    windows = []
    for k in range(DRAWS):
        clips = data.codes[[data.clips_of[r][k % len(data.clips_of[r])] for r in rows], 0]
        windows.append(unit(model.embed_voices(clips)))
    voices = unit(np.mean(windows, axis=0))
    found: dict[str, list[float]] = {}
    for k in range(DRAWS):
        faces = model.embed_faces(np.array([p[1 + k % (len(p) - 1)] for p in pictures]))
        for stratum, beside in (("U", None), ("G", same_sex)):
            found.setdefault(f"v2f_{stratum}", []).append(matching_1_2(voices, faces, beside))
            found.setdefault(f"f2v_{stratum}", []).append(matching_1_2(faces, voices, beside))
    return {name: float(np.mean(values)) for name, values in found.items()}
