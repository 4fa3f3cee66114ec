"""One model, three ways to run it: in float by Keras, in int8 by each of the device's runtimes.

Every backend takes and gives real values, so that whatever is measured on one is measured on all.
The runtimes run in a process of their own each: two builds of TensorFlow Lite and TensorFlow itself
then never share one, and they work at the same time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from edge.embed.quantization import dequantize, quantize
from edge.errors import RuntimeUnavailable
from edge.manifest import ModelInfo
from edge.runtime import Model, open_model
from edge.types import Float32

Files = Mapping[str, tuple[Path, ModelInfo]]  # model name → (.tflite file, its manifest entry)
T = TypeVar("T")

RUNTIMES = {"litert": "litert", "tflite_runtime": "tflite"}  # backend → EARSIGHT_RUNTIME
FLOAT_BATCH = 64
INT8_BATCH = 128  # sent to the other process at a time


class Backend(Protocol):
    """Something that runs a bundle's models."""

    name: str  # float, litert or tflite_runtime

    def run(self, model: str, inputs: Float32) -> dict[str, Float32]:
        """Return the real outputs (n, ...) by name for real inputs (n, ...)."""


class FloatBackend:
    """The trained Keras models, the reference of every comparison."""

    name = "float"

    def __init__(self, models: Mapping[str, Any]) -> None:
        self._models = models

    def run(self, model: str, inputs: Float32) -> dict[str, Float32]:
        """Return the real outputs (n, ...) by name for real inputs (n, ...)."""
        network = self._models[model]
        parts = [
            network(inputs[i : i + FLOAT_BATCH], training=False)
            for i in range(0, len(inputs), FLOAT_BATCH)
        ]
        return {name: np.concatenate([np.asarray(p[name]) for p in parts]) for name in parts[0]}


class Int8Backend:
    """One runtime in a process of its own, until `close`."""

    def __init__(self, name: str, files: Files) -> None:
        """Start the process and open every model.

        Raises:
            BundleError: a model breaks the contract.
            RuntimeUnavailable: the runtime is not installed or does not work here.
        """
        self.name = name
        self._process = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        try:
            self.version: str = self._process.submit(_open, RUNTIMES[name], dict(files)).result()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process."""
        self._process.shutdown(cancel_futures=True)

    def run(self, model: str, inputs: Float32) -> dict[str, Float32]:
        """Return the real outputs (n, ...) by name for real inputs (n, ...)."""
        parts = [
            self._process.submit(_run, model, inputs[i : i + INT8_BATCH]).result()
            for i in range(0, len(inputs), INT8_BATCH)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@contextmanager
def runtimes(files: Files) -> Iterator[tuple[list[Int8Backend], dict[str, str]]]:
    """Start every runtime that works here; yield them, and why the others do not by their names.

    Raises:
        BundleError: a model breaks the contract.
        RuntimeUnavailable: none works.
    """
    found: list[Int8Backend] = []
    missing: dict[str, str] = {}
    try:
        for name in RUNTIMES:
            try:
                found.append(Int8Backend(name, files))
            except RuntimeUnavailable as error:
                missing[name] = str(error)
        if not found:
            raise RuntimeUnavailable("; ".join(missing.values()))
        yield found, missing
    finally:
        for backend in found:
            backend.close()


def on_all(backends: Sequence[Backend], work: Callable[[Backend], T]) -> dict[str, T]:
    """Return `work` of every backend by name; all backends work at the same time."""
    with ThreadPoolExecutor(len(backends)) as threads:
        results = threads.map(work, backends)
        return {backend.name: done for backend, done in zip(backends, results, strict=True)}


def run_int8(model: Model, inputs: Float32) -> dict[str, Float32]:
    """Run real inputs (n, ...) one by one; returns real outputs (n, ...) by name."""
    (name,) = model.inputs
    codes = quantize(inputs, model.inputs[name])
    rows = [model.run(**{name: codes[i : i + 1]}) for i in range(len(codes))]
    return {
        out: dequantize(np.concatenate([row[out] for row in rows]), info)
        for out, info in model.outputs.items()
    }


_models: dict[str, Model] = {}  # of a runtime's process


def _open(runtime: str, files: Files) -> str:
    os.environ["EARSIGHT_RUNTIME"] = runtime
    for name, (path, info) in files.items():
        _models[name] = open_model(path, info, f"models.{name}")
    return next(iter(_models.values())).backend.version


def _run(model: str, inputs: Float32) -> dict[str, Float32]:
    return run_int8(_models[model], inputs)
