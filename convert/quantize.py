"""Trained Keras model → full-int8 TFLite file, in a subprocess, checked."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from edge.errors import EarsightError
from edge.types import Float32

from .flatbuffer import TfliteModel
from .worker import Usage, run_worker


def quantize(model: Path, calibration: Float32, input_name: str, out: Path) -> TfliteModel:
    """Quantize one model and refuse the result when it is not sound.

    Args:
        model: a `.keras` file with one input.
        calibration: (n, ...) real inputs of the training split; their range becomes the range of
            the input tensor.
        input_name: name of the input.
        out: the `.tflite` file to write.

    Raises:
        EarsightError: the converter failed, crashed or hung, or wrote a degenerate model.
    """
    quantize_within(model, calibration, input_name, out)
    return TfliteModel(out.read_bytes())


def quantize_within(
    model: Path,
    calibration: Float32,
    input_name: str,
    out: Path,
    memory_gib: float | None = None,
    worker: str = "convert.tflite_worker",
) -> Usage:
    """Do what `quantize` does within a limit of memory; return what it took.

    `worker` is the module that converts: it takes the model, the samples and the file to write.
    """
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "calibration.npz"
        np.savez(samples, **{input_name: calibration})
        draft = Path(folder) / "model.tflite"
        arguments = [str(path) for path in (model, samples, draft)]
        usage = run_worker(worker, arguments, model.name, draft, memory_gib)
        content = draft.read_bytes()
    problems = list(TfliteModel(content).problems())
    if problems:
        raise EarsightError(f"{model.name}: cannot ship as int8: {problems[0]}")
    out.write_bytes(content)
    return usage
