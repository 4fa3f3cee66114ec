"""One network, compared: with its original, float with int8, layer by layer, on people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.runtime import open_model
from edge.types import Float32, UInt8

from ..backends import run_int8
from ..checkpoints.layouts import Layout, Part
from ..complexity import macs, parameters
from ..importing.converting import model_info, to_int8
from ..importing.measuring import figures_of, run_float
from ..importing.steps import Options, Source, load_parts, samples_of
from ..metrics import to_pixels
from ..report.layers import LayerError, layer_errors
from .originals import LayerDistance, distances, load_original
from .separation import Labelled, Separation, labelled_faces, labelled_voices, separation

PICTURES = 8  # portraits shown side by side
DEPTH_SAMPLES = 4  # inputs that layers are compared on


@dataclass(frozen=True, slots=True)
class NetworkParity:
    """Everything one comparison gave."""

    role: str
    parameters: int
    macs: int
    float_bytes: int  # 4 for each parameter
    int8_bytes: int
    operators: dict[str, int]
    figures: dict[str, float]  # cosine or psnr_db, mean and worst
    samples: str  # what int8 was calibrated on
    inputs: int  # how many other inputs the figures are of
    distances: tuple[LayerDistance, ...]  # from the original; empty without one
    layers: tuple[LayerError, ...]  # of the int8 part
    people: tuple[Separation, Separation] | None  # float and int8
    portraits: tuple[UInt8, UInt8] | None  # float and int8


@dataclass(frozen=True, slots=True)
class People:
    """Folders with a sub-folder for each person."""

    voices: Path | None = None
    faces: Path | None = None


def compare(
    source: Source, options: Options, people: People, original: Path | None, work: Path
) -> list[NetworkParity]:
    """Convert every network of a checkpoint into `work` and compare it.

    Raises:
        InputError: the checkpoint, the original or the folders cannot be used.
        EarsightError: the conversion failed.
    """
    work.mkdir(parents=True, exist_ok=True)
    found = []
    for part, network in load_parts(source):
        rows: Sequence[LayerDistance] = ()
        if original is not None:
            rows = distances(network, load_original(original, part.role))
        samples = samples_of(source.layout, part, network, options)
        made = to_int8(part, network, samples.calibration, work, options.memory_gib, options.whole)
        info = model_info(made.path)
        device = open_model(made.path, info, part.role)
        wanted = run_float(network, samples.held_out)
        given = run_int8(device, samples.held_out)
        judged = None
        labelled = _labelled(source.layout, part, people)
        if labelled is not None:
            pair = [run_float(network, labelled.inputs), run_int8(device, labelled.inputs)]
            judged = _both([made["embedding"] for made in pair], labelled)
        found.append(
            NetworkParity(
                role=part.role,
                parameters=parameters(network),
                macs=macs(network),
                float_bytes=4 * parameters(network),
                int8_bytes=made.path.stat().st_size,
                operators=dict(info.operators),
                figures=figures_of(wanted, given),
                samples=samples.source,
                inputs=len(samples.held_out),
                distances=tuple(rows),
                layers=tuple(
                    layer_errors(made.keras, made.trunk, samples.held_out[:DEPTH_SAMPLES])
                ),
                people=judged,
                portraits=_portraits(wanted, given),
            )
        )
    return found


def _labelled(layout: Layout, part: Part, people: People) -> Labelled | None:
    if part.role == "voice_encoder" and people.voices is not None and layout.frontend is not None:
        return labelled_voices(people.voices, layout.frontend)
    if part.role == "face_encoder" and people.faces is not None:
        return labelled_faces(people.faces)
    return None


def _both(embeddings: list[Float32], labelled: Labelled) -> tuple[Separation, Separation]:
    in_float, in_int8 = (separation(e, labelled.people) for e in embeddings)
    return in_float, in_int8


def _portraits(wanted: dict[str, Float32], given: dict[str, Float32]) -> tuple[UInt8, UInt8] | None:
    if "portrait" not in wanted:
        return None
    first = np.s_[:PICTURES]
    return to_pixels(wanted["portrait"][first]), to_pixels(given["portrait"][first])
