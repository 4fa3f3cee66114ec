"""A SavedModel folder → int8 TFLite, and the float file it is measured against."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.errors import EarsightError
from edge.types import Float32

from ..flatbuffer import TfliteModel
from ..worker import Usage, run_worker
from .whole import INPUTS, OUTPUTS

WORKER = "convert.importing.saved_worker"


@dataclass(frozen=True, slots=True)
class Graph:
    """What conversion wrote."""

    path: Path  # int8
    reference: Path  # float
    usage: Usage


def graph_to_int8(
    saved: Path,
    role: str,
    samples: Float32,
    mean: Sequence[float],
    std: Sequence[float],
    folder: Path,
    memory_gib: float | None = None,
) -> Graph:
    """Write `folder`/ROLE.tflite and `folder`/ROLE.float.tflite.

    Args:
        saved: SavedModel folder with one input, of a batch of one or any.
        role: says how input and output are named.
        samples: (n, ...) inputs as the device gives them, to calibrate on.
        mean: with `std`, what the network wants its input normalised with.
        std: see there.
        folder: to write to.
        memory_gib: limit of the converter's private memory.

    Raises:
        EarsightError: the converter failed, or int8 is not possible throughout.
    """
    path, reference = folder / f"{role}.tflite", folder / f"{role}.float.tflite"
    with tempfile.TemporaryDirectory() as work:
        given, draft = Path(work) / "samples.npz", Path(work) / "model.tflite"
        arrays = {INPUTS[role]: samples, "mean": np.array(mean), "std": np.array(std)}
        np.savez(given, output=np.array(OUTPUTS[role]), **arrays)
        arguments = [str(saved), str(given)]
        arguments += [str(reference), str(draft)]
        usage = run_worker(WORKER, arguments, saved.name, draft, memory_gib)
        content = draft.read_bytes()
    problems = list(TfliteModel(content).problems())
    if problems:
        raise EarsightError(f"{role}: cannot ship as int8: {problems[0]}")
    path.write_bytes(content)
    return Graph(path, reference, usage)
