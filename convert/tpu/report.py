"""What `earsight-convert tpu check` found, for a person and for a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from .advice import STREAMED, advise, advise_model, doubts
from .check import Check
from .mapping import Placement, Prediction
from .memory import MIB
from .operators import OPERATORS


def describe(found: Check) -> Iterator[str]:
    """Yield the lines of a report for a person."""
    for prediction in found.predictions:
        count = len(prediction.placements)
        yield f"{prediction.name}: {prediction.mapped} of {count} operations on the Edge TPU"
        for reason in prediction.refused:
            yield f"  REFUSED  {reason}; {advise_model(reason)}"
        first = prediction.first_refused
        if first is not None and not prediction.refused:
            yield f"  ENDS     {_describe(first)}; {advise(first, prediction)}"
        for placement, times in _others(prediction):
            yield f"  CPU      {_describe(placement)}{times}"
        for name, times_, why in doubts(prediction):
            yield f"  maybe    {name}, {times_} times: {why}"
    memory = found.memory
    fits = {"yes": "they fit", "perhaps": "they may not fit", "no": "they do not fit"}
    yield (
        f"parameters {memory.parameters / MIB:.2f} MiB, on the chip {memory.least / MIB:.2f} to "
        f"{memory.most / MIB:.2f} MiB: {fits[memory.fits]}"
    )
    for word, verdict in (("maybe", "perhaps"), ("BIG", "no")):
        if names := [name for name, fit in memory.models.items() if fit == verdict]:
            yield f"  {word:8} {', '.join(names)}: {STREAMED}"
    yield "a prediction from published tables and logs; the compiler decides"


def as_json(found: Check) -> dict[str, Any]:
    """Return a report for a program."""
    return {
        "whole": found.whole,
        "models": [
            {
                "name": prediction.name,
                "mapped": prediction.mapped,
                "operations": len(prediction.placements),
                "refused": list(prediction.refused),
                "placements": [_placement_json(p, prediction) for p in prediction.placements],
                "doubts": [
                    {"operation": name, "count": count, "why": why}
                    for name, count, why in doubts(prediction)
                ],
            }
            for prediction in found.predictions
        ],
        "memory": {
            "parameters": found.memory.parameters,
            "least": found.memory.least,
            "most": found.memory.most,
            "fits": found.memory.fits,
            "models": dict(found.memory.models),
        },
    }


def _placement_json(placement: Placement, prediction: Prediction) -> dict[str, Any]:
    operation, rule = placement.operation, OPERATORS.get(placement.operation.name)
    return {
        "operation": operation.name,
        "version": operation.version,
        "output": operation.outputs[0].name if operation.outputs else "",
        "status": str(placement.status),
        "why": placement.why,
        "advice": "" if placement.mapped else advise(placement, prediction),
        "confidence": placement.confidence,
        "source": rule.source if rule else "table",
    }


def _describe(placement: Placement) -> str:
    operation = placement.operation
    return f"{operation.name} {operation.version}: {placement.status} ({placement.why})"


def _others(prediction: Prediction) -> Iterator[tuple[Placement, str]]:
    """Yield what else is refused, once for each kind."""
    first = prediction.first_refused
    kinds: dict[tuple[str, str], Placement] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for placement in prediction.placements:
        if not placement.mapped and (placement is not first or prediction.refused):
            key = (placement.operation.name, str(placement.status))
            kinds.setdefault(key, placement)
            counts[key] += 1
    for key, placement in kinds.items():
        yield placement, f", {counts[key]} times" if counts[key] > 1 else ""
