"""What each part of the training is worth: every part on and off, several seeds, one table.

Shape of Sound's ablation, on the synthetic population and at a smaller scale than the shipped
bundle: the figures compare parts, they are not those of the bundle. Every run's figures are kept
in the work folder, so an interrupted table goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from edge.audio.logmel import LogMelSpec
from edge.storage import write_private

from .parallel import each
from .recipe import PopulationRecipe, Recipe, TrainingRecipe
from .training.dataset import Dataset, load_dataset

SEEDS = (1, 2, 3)
FIGURES = ("v2f_U", "v2f_G", "f2v_U", "f2v_G")
INTRODUCTION = """# What each part of the training is worth

1:2 matching on {people} people of the test split, mean and standard deviation over {seeds} seeds:
v2f voice → face, f2v face → voice, U anybody, G one sex. Each run is short ({face} steps on faces,
{joint} on pairs, batches of {batch}): the rows compare parts, they are not the shipped bundle's
figures. "The ideal observer" is the loss in which the synthetic population's law teaches, "traits"
the heads that read sex, age, pitch and size; the paper has neither, and starts from a face network
that knows faces, as the first steps do here. Re-weighted runs first learn the identities' weights
in {first} further steps (Shape of Sound, section 6 of its page).

Made by `make ablation WORK=FOLDER`, which is `earsight-convert ablation`.

"""


@dataclass(frozen=True, slots=True)
class _Run:
    work: Path
    population: PopulationRecipe
    name: str  # of the variant
    training: TrainingRecipe
    seed: int


@dataclass(frozen=True, slots=True)
class Scale:
    """How small the runs are."""

    face_steps: int = 60
    joint_steps: int = 150
    batch: int = 32


def variants(full: TrainingRecipe, scale: Scale) -> dict[str, TrainingRecipe]:
    """Return the training recipes to compare, by the name of their row."""
    small = dataclasses.replace(
        full, face_steps=scale.face_steps, joint_steps=scale.joint_steps, batch=scale.batch,
        weight_steps=0, alignment_steps=0,
    )  # fmt: skip
    # the paper weighs its two losses alike
    paper = dataclasses.replace(small, law=0.0, traits=0.0, implicit=1.0, explicit=1.0)
    first = scale.joint_steps // 2
    return {
        "everything": small,
        "everything, re-weighted": dataclasses.replace(small, weight_steps=first),
        "without implicit alignment": dataclasses.replace(small, implicit=0.0),
        "without explicit alignment": dataclasses.replace(small, explicit=0.0),
        "without the ideal observer": dataclasses.replace(small, law=0.0),
        "without traits": dataclasses.replace(small, traits=0.0),
        "the paper's losses alone": paper,
        "the paper's losses, re-weighted": dataclasses.replace(paper, weight_steps=first),
        "the paper's, implicit alone": dataclasses.replace(paper, explicit=0.0),
        "the paper's, explicit alone": dataclasses.replace(paper, implicit=0.0),
    }


def run_ablation(recipe: Recipe, work: Path, scale: Scale, workers: int) -> str:
    """Train every variant with every seed; returns the table, Markdown.

    Args:
        recipe: the population's recipe and the weights of the losses.
        work: a work folder with a population and its features.
        scale: of each run.
        workers: runs at a time, of one thread each.
    """
    from .build import law_scores_of

    data = _loaded(work, recipe.population)
    law_scores_of(data, work, workers)
    runs = [
        _Run(work, recipe.population, name, training, seed)
        for seed in SEEDS
        for name, training in variants(recipe.training, scale).items()
    ]
    results: dict[str, list[Mapping[str, float]]] = {}
    for run, found in zip(runs, each(_measured, runs, workers), strict=True):
        results.setdefault(run.name, []).append(found)
        print(f"{run.name}, seed {run.seed}: " + ", ".join(f"{k} {found[k]:.3f}" for k in FIGURES))
    introduction = INTRODUCTION.format(
        people=len(data.rows("paired", "test")), seeds=len(SEEDS), face=scale.face_steps,
        joint=scale.joint_steps, batch=scale.batch, first=scale.joint_steps // 2,
    )  # fmt: skip
    return introduction + "\n".join(table(results)) + "\n"


def table(results: Mapping[str, Sequence[Mapping[str, float]]]) -> Iterator[str]:
    """Yield the lines of a Markdown table: mean and standard deviation over the seeds."""
    yield f"| training | {' | '.join(FIGURES)} |"
    yield "|---" * (1 + len(FIGURES)) + "|"
    for name, runs in results.items():
        cells = []
        for figure in FIGURES:
            values = np.array([run[figure] for run in runs])
            cells.append(f"{values.mean():.3f} ± {values.std(ddof=min(1, len(values) - 1)):.3f}")
        yield f"| {name} | {' | '.join(cells)} |"


def _measured(run: _Run) -> dict[str, float]:
    """Train and measure one variant, or read what an earlier call measured."""
    folder = run.work / "ablation" / f"{run.name} {run.seed}".replace(" ", "_")
    kept = folder / "figures.json"
    if kept.exists():
        found: dict[str, float] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    import tensorflow as tf

    from .build import law_scores_of
    from .training.encoders import train_encoders
    from .training.selection import matching_figures

    tf.config.threading.set_intra_op_parallelism_threads(1)
    data = _loaded(run.work, run.population)
    law = law_scores_of(data, run.work, 1) if run.training.law else None
    encoders = train_encoders(data, LogMelSpec(), run.training, folder, run.seed, law)
    found = matching_figures(encoders, data, data.rows("paired", "test"))
    write_private(kept, json.dumps(found).encode())
    return found


@lru_cache(maxsize=1)
def _loaded(work: Path, population: PopulationRecipe) -> Dataset:
    return load_dataset(work, population)
