"""A filled Keras network → an int8 TFLite file, with a floating-point tail where one is better."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.manifest import ModelInfo, file_info
from edge.types import Float32

from ..flatbuffer import TfliteModel
from ..quantize import quantize_within
from ..worker import Usage, run_worker
from .dead_layers import revive
from .islands import join, split

if TYPE_CHECKING:
    from ..checkpoints.layouts import Part


@dataclass(frozen=True, slots=True)
class Converted:
    """What conversion wrote."""

    path: Path  # the model as a device runs it
    keras: Path  # the part of the network that is int8
    trunk: Path  # its int8 file; `path` itself when there is no tail
    usage: Usage


def to_int8(
    part: Part,
    network: Any,
    samples: Float32,
    folder: Path,
    memory_gib: float | None = None,
    whole: bool = False,
) -> Converted:
    """Write `folder`/ROLE.tflite and what it was made of.

    Args:
        part: says where the tail begins.
        network: the Keras model; its batch norms are made exact first (`exact_norms`), and layers
            that never fire are given a range (`dead_layers`).
        samples: (n, ...) inputs to calibrate on.
        folder: to write to.
        memory_gib: limit of the converter's private memory.
        whole: int8 throughout, even where the layout has a tail.

    Raises:
        EarsightError: the converter failed, or needed more memory.
    """
    from .exact_norms import with_exact_norms

    exact = revive(with_exact_norms(network), samples)
    (name,) = exact.input_names
    path, keras = folder / f"{part.role}.tflite", folder / f"{part.role}.keras"
    if not part.cut or whole:
        exact.save(keras)
        usage = quantize_within(keras, samples, name, path, memory_gib)
        return Converted(path, keras, path, usage)
    trunk_file, tail_keras = folder / f"{part.role}.trunk", folder / f"{part.role}.tail.keras"
    tail_file = folder / f"{part.role}.tail"
    trunk, tail = split(exact, part.cut)
    trunk.save(keras)
    tail.save(tail_keras)
    usage = quantize_within(keras, samples, name, trunk_file, memory_gib)
    more = run_worker(
        "convert.importing.float_worker",
        [str(tail_keras), str(tail_file)],
        f"{part.role}, its tail",
        tail_file,
        memory_gib,
    )
    path.write_bytes(join(trunk_file.read_bytes(), tail_file.read_bytes()))
    peak, seconds = max(usage.peak_gib, more.peak_gib), usage.seconds + more.seconds
    return Converted(path, keras, trunk_file, Usage(peak, seconds))


def model_info(path: Path) -> ModelInfo:
    """Return the manifest's entry for a .tflite file."""
    content = path.read_bytes()
    return TfliteModel(content).model_info(file_info(path.name, content))
