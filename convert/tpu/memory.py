"""Whether the parameters of models compiled together fit the memory on the chip.

The Edge TPU keeps about 8 MiB of parameters; what fits is sent once, the rest with every run, ten
times slower over USB 2. The compiler alone knows how it lays them out, so this is a range: in
published logs of 2.0 to 16.0 parameters took 0.9 to 1.75 times the size of the model's file
(google-coral/edgetpu#427, #458, #518, #671), and executables with their activations left 5.3 to
8.0 MiB of the memory (#173, #458), in one case 1.1 (#572).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from .mapping import Prediction

Fits = Literal["yes", "perhaps", "no"]
MIB = 2**20
GROWTH = (0.9, 1.75)
ROOM_MIB = (5.3, 8.0)


@dataclass(frozen=True, slots=True)
class Memory:
    """The parameters of models that are compiled together, bytes."""

    parameters: int  # of the operations on the Edge TPU, as in the files
    least: int  # on the chip, as far as logs tell
    most: int
    fits: Fits
    models: Mapping[str, Fits]  # each one, after those before it have had theirs


def estimate(predictions: Iterable[Prediction]) -> Memory:
    """Return what a co-compiled set needs; a constant that two operations share counts once.

    Args:
        predictions: in the order in which the compiler is given the models: each gets memory from
            what those before it leave.
    """
    total, models = 0, {}
    for prediction in predictions:
        constants = {
            tensor.name: len(tensor.data)
            for placement in prediction.placements
            if placement.mapped and not prediction.refused
            for tensor in placement.operation.inputs
            if tensor.data is not None
        }
        total += sum(constants.values())
        models[prediction.name] = _fits(total)
    return Memory(total, *_range(total), _fits(total), models)


def _range(parameters: int) -> tuple[int, int]:
    """Return the least and the most that parameters take on the chip, bytes."""
    return round(GROWTH[0] * parameters), round(GROWTH[1] * parameters)


def _fits(parameters: int) -> Fits:
    least, most = _range(parameters)
    if most <= ROOM_MIB[0] * MIB:
        return "yes"
    return "no" if least > ROOM_MIB[1] * MIB else "perhaps"
