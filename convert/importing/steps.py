"""READ THIS FIRST: the steps from a checkpoint to a verified bundle, in order.

::

    read → fill a Keras network → norms made exact, split → int8 → measured → packed
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.bundle import Bundle
from edge.errors import EarsightError, InputError
from edge.manifest import ModelInfo
from edge.runtime import open_model

from ..backends import run_int8
from ..checkpoints.layouts import Layout, Part, load_networks
from ..checkpoints.reading import read_tensors
from ..complexity import macs, parameters
from . import calibration
from .calibration import Samples
from .converting import model_info, to_int8
from .graphs import graph_to_int8
from .limits import check_for_device
from .measuring import figures_of, run_float
from .whole import kind_of, load_keras, onnx_to_saved_model, refuse_reaching

UNIT_DIM = 64  # embeddings at least this wide are compared by direction, so decoders get unit ones


@dataclass(frozen=True, slots=True)
class Source:
    """One checkpoint and what it is."""

    layout: Layout
    path: Path

    @property
    def roles(self) -> tuple[str, ...]:
        """The models of a bundle it holds."""
        layout = self.layout
        return (layout.whole,) if layout.whole else tuple(part.role for part in layout.parts)


@dataclass(frozen=True, slots=True)
class Options:
    """How to convert."""

    voices: Path | None = None  # folder of recordings; None for speech-like sounds
    faces: Path | None = None  # folder of photos; None for the shipped synthetic faces
    samples: int = 16  # to calibrate on
    memory_gib: float | None = None  # limit of each conversion
    whole: bool = False  # int8 throughout, even where a floating-point tail is better
    min_cosine: float = 0.98  # of int8 and float embeddings, mean
    min_psnr_db: float = 32.0  # of int8 and float portraits, mean
    mean: tuple[float, ...] = (0.0,)  # a SavedModel or ONNX face network wants (image - mean) / std
    std: tuple[float, ...] = (1.0,)


@dataclass(frozen=True, slots=True)
class Imported:
    """One converted network."""

    role: str
    path: Path  # the .tflite file
    info: ModelInfo
    figures: dict[str, float]
    source: str  # "best.pth.tar (shape-of-sound, sha256 0123456789ab)"
    samples: str  # what it was calibrated on


def import_bundle(sources: tuple[Source, ...], options: Options, licence: str, out: Path) -> Bundle:
    """Convert every network of the sources and write a bundle of them.

    Raises:
        InputError: a checkpoint cannot be used; names the tensor.
        EarsightError: a network is too large for a device, or int8 misses a gate.
        BundleError: the networks together make no bundle.
    """
    from .packing import check_roles, pack_imported

    check_roles(out, sources)
    with tempfile.TemporaryDirectory() as folder:
        found = import_models(sources, options, Path(folder), for_device=True)
        return pack_imported(out, sources, found, licence)


def import_models(
    sources: tuple[Source, ...], options: Options, folder: Path, for_device: bool = False
) -> list[Imported]:
    """Convert every network of the sources to `folder`/ROLE.tflite and measure it.

    Raises:
        InputError: a checkpoint cannot be used; names the tensor.
        EarsightError: a network is too large for a device, or int8 misses a gate.
    """
    for source in sources:  # before any of them takes its minutes
        if source.layout.whole:
            kind_of(source.path)
        elif not source.path.is_file():
            raise InputError(f"{source.path}: no such file; check the name")
    folder.mkdir(parents=True, exist_ok=True)
    imported = []
    for source in sources:
        about = f"{source.path.name} ({source.layout.name}, sha256 {digest(source.path)[:12]})"
        if source.layout.whole and kind_of(source.path) in ("saved_model", "onnx"):
            imported.append(_convert_graph(source, options, folder, about, for_device))
            continue
        for part, network in load_parts(source):
            if for_device:
                check_for_device(source.layout.name, part.role, parameters(network), macs(network))
            samples = samples_of(source.layout, part, network, options)
            imported.append(_convert(part, network, samples, options, folder, about))
    return imported


def load_parts(source: Source) -> list[tuple[Part, Any]]:
    """Return every network of a source as a filled Keras model.

    Raises:
        InputError: the checkpoint does not fit its layout, or the Keras file cannot be used.
    """
    layout = source.layout
    if layout.whole:
        network = load_keras(source.path, layout.whole)
        return [(Part(layout.whole, lambda: network), network)]
    tensors = read_tensors(source.path)
    try:
        networks = load_networks(layout, tensors)
    except InputError as exc:
        raise InputError(f"{source.path}: {exc}") from exc
    return [(part, networks[part.role]) for part in layout.parts]


def samples_of(layout: Layout, part: Part, network: Any, options: Options) -> Samples:
    """Return inputs for a Keras network of a layout."""
    if part.role.endswith("_head"):
        return calibration.like_training(network, 4 * options.samples)
    return samples_for(layout, part.role, network.input_shape[-1], options)


def samples_for(layout: Layout, role: str, width: int, options: Options) -> Samples:
    """Return inputs for a model of a bundle; `width` is the last axis of its input."""
    if role == "voice_encoder" and layout.frontend is not None:
        return calibration.voices(options.voices, layout.frontend, options.samples)
    if role == "face_encoder":
        return calibration.faces(options.faces, options.samples)
    unit = role == "portrait_decoder" and width >= UNIT_DIM
    return calibration.latents(width, 4 * options.samples, 1.0 if unit else None)


def _convert(
    part: Part, network: Any, samples: Samples, options: Options, folder: Path, about: str
) -> Imported:
    made = to_int8(part, network, samples.calibration, folder, options.memory_gib, options.whole)
    info = model_info(made.path)
    device = open_model(made.path, info, part.role)
    figures = {
        "parameters": float(parameters(network)),
        "macs": float(macs(network)),
        "bytes": float(made.path.stat().st_size),
        "peak_gib": made.usage.peak_gib,
        "seconds": made.usage.seconds,
        **figures_of(run_float(network, samples.held_out), run_int8(device, samples.held_out)),
    }
    _check_gates(part.role, figures, options)
    return Imported(part.role, made.path, info, figures, about, samples.source)


def _convert_graph(
    source: Source, options: Options, folder: Path, about: str, for_device: bool
) -> Imported:
    """Convert a SavedModel, or an ONNX file that becomes one; both have no Keras layers."""
    role = source.layout.whole
    with tempfile.TemporaryDirectory() as work:
        saved = source.path
        if kind_of(source.path) == "onnx":
            saved = Path(work)
            onnx_to_saved_model(source.path, saved)
        shape = refuse_reaching(saved)
        samples = samples_for(source.layout, role, shape[-1], options)
        mean, std = (options.mean, options.std) if role == "face_encoder" else ((0.0,), (1.0,))
        made = graph_to_int8(
            saved, role, samples.calibration, mean, std, folder, options.memory_gib
        )
    info = model_info(made.path)
    if for_device:
        count = made.reference.stat().st_size // 4  # a float file is little but its weights
        check_for_device(source.layout.name, role, count, info.macs)
    wanted = run_int8(
        open_model(made.reference, model_info(made.reference), role), samples.held_out
    )
    given = run_int8(open_model(made.path, info, role), samples.held_out)
    figures = {
        "macs": float(info.macs),
        "bytes": float(made.path.stat().st_size),
        "peak_gib": made.usage.peak_gib,
        "seconds": made.usage.seconds,
        **figures_of(wanted, given),
    }
    _check_gates(role, figures, options)
    return Imported(role, made.path, info, figures, about, samples.source)


def _check_gates(role: str, figures: dict[str, float], options: Options) -> None:
    for name, least in (("cosine", options.min_cosine), ("psnr_db", options.min_psnr_db)):
        if figures.get(name, np.inf) < least:
            raise EarsightError(
                f"{role}: int8 reaches {name} {figures[name]:.4f}, the gate is {least:g}; "
                "calibrate on more and real samples (--voices, --faces, --samples)"
            )


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of a SavedModel folder's graph, as hexadecimal digits."""
    file_path = path / "saved_model.pb" if path.is_dir() else path
    with file_path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
