"""Which people make up the batch of a step."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.types import Float32

from ..recipe import TrainingRecipe
from .batches import face_batch, voice_batch
from .dataset import Dataset, Index, Labels


class Sampler:
    """Draws the batch of a step; a pure function of (seed, step), so a resumed run continues."""

    def __init__(
        self, data: Dataset, recipe: TrainingRecipe, seed: int, law: Float32 | None = None
    ) -> None:
        """Take the training split.

        Args:
            data: the population.
            recipe: sizes.
            seed: of every draw.
            law: (n, n) the ideal observer's scores of the paired people of the training split.
        """
        self.data, self.recipe, self.seed, self.law = data, recipe, seed, law
        self.paired = data.rows("paired", "train")
        self.voices = data.rows("voice_only", "train")
        self.faces = data.rows("face_only", "train")

    def make(self, step: int) -> dict[str, Any]:
        """Return the batch of a step: of faces alone at first, then of both."""
        rng = np.random.default_rng([self.seed, 31, step])
        n = self.recipe.batch
        if step < self.recipe.face_steps:
            everybody = np.concatenate([self.paired, self.faces])
            people = rng.choice(everybody, 2 * n, replace=len(everybody) < 2 * n)
            return {
                "faces": face_batch(self.data, people, rng),
                "face_labels": take(self.data.labels, people),
            }
        chosen = rng.choice(len(self.paired), n, replace=len(self.paired) < n)
        pairs = self.paired[chosen]
        voices = np.concatenate([pairs, _some(self.voices, n // 3, rng)])
        faces = np.concatenate([pairs, _some(self.faces, n // 3, rng)])
        batch = {
            "identities": chosen.astype(np.int32),
            "voices": voice_batch(self.data, voices, rng),
            "voice_labels": take(self.data.labels, voices),
            "faces": face_batch(self.data, faces, rng),
            "face_labels": take(self.data.labels, faces),
        }
        if self.law is not None:
            batch["law"] = self.law[np.ix_(chosen, chosen)]
        return batch


def take(labels: Labels, people: Index) -> dict[str, Any]:
    """Return the rows of every label column."""
    return {name: getattr(labels, name)[people] for name in Labels.__dataclass_fields__}


def _some(people: Index, count: int, rng: np.random.Generator) -> Index:
    return rng.choice(people, count) if len(people) else people
