"""The detector that ships, ready to be packed into a bundle; `models/README.md` says whose it is.

It was trained by others on photographs: the synthetic population has no crowds and no real
backgrounds to train a detector on. The pose maps beside it were fitted on rendered heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.manifest import FaceDetectorInfo, ModelInfo, file_info

from ..flatbuffer import TfliteModel

FOLDER = Path(__file__).parent / "models"
MODEL = FOLDER / "ultralight_slim_320.tflite"
POSE = FOLDER / "face_pose.npz"
LICENCE = FOLDER / "LICENSE"
# mean, std, anchors, variances and overlap as in its authors' code; where the eyes lie in a box and
# how high a head is was measured on rendered heads (docs/face_detection.md)
INFO = FaceDetectorInfo(
    mean=127.0,
    std=128.0,
    strides=(8, 16, 32, 64),
    anchors=((10, 16, 24), (32, 48), (64, 96), (128, 192, 256)),
    center_variance=0.1,
    size_variance=0.2,
    score=0.7,
    overlap=0.3,
    eyes_x=0.5,
    eyes_y=0.36,
    crown_to_chin=1.26,
)
CARD = """\

A face detector finds the face in a photo that is enrolled: Ultra-Light-Fast-Generic-Face-Detector
(slim, 320), copyright 2019 linzai, MIT licence. Its authors trained it on WIDER FACE, photographs
from the web; nothing else in this bundle has seen a photograph.
"""


@dataclass(frozen=True, slots=True)
class ShippedDetector:
    """What a bundle needs of a detector."""

    path: Path
    model: ModelInfo
    info: FaceDetectorInfo
    files: dict[str, bytes]  # further files of the bundle, by name
    card: str  # paragraph of the model card


def shipped_model() -> ModelInfo:
    """Return the manifest's entry for the detector that ships."""
    content = MODEL.read_bytes()
    return TfliteModel(content).model_info(file_info(MODEL.name, content))


def shipped_detector() -> ShippedDetector:
    """Return the detector that ships, with its pose maps and its licence."""
    files = {
        "face_pose.npz": POSE.read_bytes(),
        "face_detector_licence.txt": LICENCE.read_bytes(),
    }
    return ShippedDetector(MODEL, shipped_model(), INFO, files, CARD)
