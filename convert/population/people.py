"""Who is in a population, and in which split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from edge.errors import ConfigError
from edge.storage import write_private

from ..recipe import PopulationRecipe
from .law import Kind, Person, draw_person

Split = Literal["train", "validation", "test"]


def draw_people(recipe: PopulationRecipe, seed: int) -> list[Person]:
    """Draw everybody: paired people, then speakers without a face, then faces without a voice."""
    counts: dict[Kind, int] = {
        "paired": recipe.paired,
        "voice_only": recipe.voice_only,
        "face_only": recipe.face_only,
    }
    return [draw_person(kind, i, seed) for kind, n in counts.items() for i in range(n)]


def split_of(person: Person, recipe: PopulationRecipe) -> Split:
    """Return a person's split; everybody without a counterpart helps training only."""
    if person.kind != "paired":
        return "train"
    draw = float(np.random.default_rng([person.seed, 9]).random())
    if draw < recipe.test:
        return "test"
    return "validation" if draw < recipe.test + recipe.validation else "train"


def save_people(people: Sequence[Person], path: Path) -> None:
    """Write one JSON object per line."""
    lines = [json.dumps(person.as_json(), sort_keys=True) for person in people]
    write_private(path, ("\n".join(lines) + "\n").encode())


def load_people(path: Path) -> list[Person]:
    """Read what `save_people` wrote.

    Raises:
        ConfigError: another version of earsight wrote it.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        return [Person(**json.loads(line)) for line in lines]
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{path}: made by another version; draw the population in an empty work folder"
        ) from error
