"""What a bundle's `manifest.json` says, as frozen dataclasses; `edge.bundle` checks it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .audio.frontend import FrontendSpec


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output of a model."""

    shape: tuple[int, ...]
    dtype: Literal["int8", "uint8", "float32"]
    scale: float  # real = scale * (code - zero_point); 0 for float32
    zero_point: int


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One file of the bundle."""

    file: str  # plain name inside the bundle's directory
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model: its file for each target, its tensors, and what a runtime must know to run it."""

    files: Mapping[str, FileInfo]  # by target; "cpu" is always there
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    operators: Mapping[str, int]  # TFLite operator → highest version used
    min_runtime: str  # lowest TFLite version that has them, "" when the file does not say
    macs: int  # multiply-accumulates of one run


@dataclass(frozen=True, slots=True)
class CompiledInfo:
    """How the files of one accelerator were made, in one run of its compiler.

    They share the accelerator's memory, so when one model changes all are compiled anew.
    """

    compiler: str  # its version
    order: tuple[str, ...]  # models as they were given: the first has memory before the others
    sources: Mapping[str, str]  # model → SHA-256 of the file it was compiled from, that of "cpu"
    mapped: Mapping[str, float]  # model → share of its operations that run there, 0..1


@dataclass(frozen=True, slots=True)
class FrontendInfo:
    """The features the voice encoder was trained on."""

    spec: FrontendSpec  # told apart by `kind`; our own has none
    fingerprint: str


@dataclass(frozen=True, slots=True)
class EmbeddingInfo:
    """The space shared by voices and faces."""

    dim: int
    metric: Literal["cosine"]
    space_id: str  # galleries carry it too


@dataclass(frozen=True, slots=True)
class TraitInfo:
    """How an output of the voice encoder becomes a trait: link⁻¹(mean + std * output)."""

    mean: float
    std: float
    link: Literal["logistic", "exp", "identity"]


@dataclass(frozen=True, slots=True)
class FaceAlignment:
    """How a photo is framed before the face encoder sees it, as fractions of its square input."""

    eyes_x: float  # midpoint between the eyes
    eyes_y: float
    crown_to_chin: float


@dataclass(frozen=True, slots=True)
class FaceDetectorInfo:
    """How to read a single-shot face detector: what it is fed, its anchors, what its boxes show."""

    mean: float  # the input is (sRGB code - mean) / std
    std: float
    strides: tuple[int, ...]  # of each feature map, pixels of the input
    anchors: tuple[tuple[int, ...], ...]  # sides of each feature map's anchors, pixels
    center_variance: float  # box centre = anchor + variance * output * side
    size_variance: float  # box side = side * exp(variance * output)
    score: float  # probability from which a box is a face
    overlap: float  # intersection over union above which two boxes are the same face
    eyes_x: float  # midpoint between the eyes, as fractions of the box
    eyes_y: float
    crown_to_chin: float  # as a fraction of the box's height

    def count(self, width: int, height: int) -> int:
        """Return how many anchors, and so boxes, an input of this size has."""
        return sum(
            len(sides) * -(-width // stride) * -(-height // stride)
            for stride, sides in zip(self.strides, self.anchors, strict=True)
        )


@dataclass(frozen=True, slots=True)
class ScoreLaw:
    """What evidence (`people.decision`) with one kind of samples means, by the gallery's size."""

    tail: tuple[float, ...]  # evidence that a stranger exceeds at each of `DecisionInfo.tails`
    sizes: tuple[int, ...]  # people in the gallery, rising; the others' tuples go with it
    lines: tuple[tuple[float, ...], ...]  # for each of `DecisionInfo.rates`: evidence it takes
    slopes: tuple[float, ...]  # probability that the best is the speaker, who is as often
    offsets: tuple[float, ...]  # enrolled as not: logistic(slope * evidence + offset)


@dataclass(frozen=True, slots=True)
class DecisionInfo:
    """When a name may be given, measured on speakers no network has seen."""

    rates: tuple[float, ...]  # rising; how often an unknown speaker's utterance would get a name
    tails: tuple[float, ...]  # falling; how often one stranger's evidence exceeds `ScoreLaw.tail`
    nearest: int  # of the strangers in `files.cohort`, with whom evidence compares
    photo: ScoreLaw
    voice: ScoreLaw
    speakers: int  # measured on


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything `manifest.json` says."""

    format: int
    name: str
    version: str  # of earsight, when packed
    created: str  # ISO date
    frontend: FrontendInfo
    models: Mapping[str, ModelInfo]
    embedding: EmbeddingInfo
    traits: Mapping[str, TraitInfo]
    face_alignment: FaceAlignment
    measured: Mapping[str, float]
    licence: str
    model_card: str  # Markdown
    files: Mapping[str, FileInfo] = field(default_factory=dict)  # recipe, report
    compiled: Mapping[str, CompiledInfo] = field(default_factory=dict)  # by target
    face_detector: FaceDetectorInfo | None = None  # with models.face_detector, None without
    decision: DecisionInfo | None = None


def file_info(name: str, content: bytes) -> FileInfo:
    """Return the manifest's entry for a file with this content."""
    return FileInfo(name, hashlib.sha256(content).hexdigest(), len(content))
