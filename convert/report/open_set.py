"""Who gets a name: known and unknown speakers of the test split against galleries of people."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edge.bundle import Bundle
from edge.people.cohort import load_cohort

from ..backends import Backend
from ..calibration import embed_splits
from ..open_set_figures import open_set_figures
from ..recipe import Recipe
from ..training.dataset import load_dataset


def measure_open_set(
    bundle: Bundle, recipe: Recipe, work: Path, backend: Backend
) -> dict[str, Any] | None:
    """Return the report's section, ready for JSON; None for a bundle without a decision.

    The lines are the manifest's, which the validation split drew, and the cohort is the file that
    ships: what is measured is what a device does.

    Args:
        bundle: to measure.
        recipe: it was made from.
        work: the folder it was built in.
        backend: runs the bundle's encoders.
    """
    decision = bundle.manifest.decision
    if decision is None:
        return None
    data = load_dataset(work, recipe.population)
    people = embed_splits(data, backend, ("validation", "test"), recipe.seed)["test"]
    people = replace(people, cohort=load_cohort(bundle, decision.nearest))
    figures = open_set_figures(decision, people, recipe.seed)
    return {
        "backend": backend.name,
        "speakers": len(set(people.queries.owners.tolist())),
        "utterances": len(people.queries.owners),
        "rows": [asdict(figure) for figure in figures],
    }
