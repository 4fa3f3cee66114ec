"""Trained Keras model → full-int8 TFLite file, in a subprocess, checked."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from edge.errors import EarsightError
from edge.types import Float32

from .flatbuffer import TfliteModel

TIMEOUT_S = 1800


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
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "calibration.npz"
        np.savez(samples, **{input_name: calibration})
        draft = Path(folder) / "model.tflite"
        _run_converter(model, samples, draft)
        content = draft.read_bytes()
    converted = TfliteModel(content)
    problems = list(converted.problems())
    if problems:
        raise EarsightError(f"{model.name}: cannot ship as int8: {problems[0]}")
    out.write_bytes(content)
    return converted


def _run_converter(model: Path, samples: Path, out: Path) -> None:
    command = [sys.executable, "-m", "convert.tflite_worker", str(model), str(samples), str(out)]
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise EarsightError(
            f"{model.name}: the converter hung for {TIMEOUT_S} s; use fewer calibration samples"
        ) from exc
    if done.returncode != 0 or not out.exists():
        how = f"crashed (signal {-done.returncode})" if done.returncode < 0 else "failed"
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise EarsightError(
            f"{model.name}: the TFLite converter {how}: {lines[-1] if lines else 'no message'}"
        )
