"""Measures a bundle's face detector and pose maps: on rendered heads, and on labelled photos."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge.bundle import Bundle
from edge.embed.encoder import FaceEncoder
from edge.errors import BundleError
from edge.face.align import Head, align
from edge.face.detect import Box, FaceDetector
from edge.face.pose import PoseMaps, first_guess, refine
from edge.face.quality import (
    LARGEST_PITCH,
    LARGEST_ROLL,
    LARGEST_YAW,
    SMALLEST_HEAD,
    faults,
)
from edge.face.subject import open_detector, open_pose_maps
from edge.types import UInt8

from .labelled import measure_labelled
from .scenes import PoseRange, Scene, SceneRange, draw_scenes

if TYPE_CHECKING:
    from PIL import Image

SEED = 77
STATED = PoseRange(LARGEST_YAW, LARGEST_PITCH, LARGEST_ROLL)
SPAN = SceneRange(PoseRange(45.0, 33.0, 40.0), False, side=320, smallest=0.15, largest=1.0)
HEAD_SHARE = 0.85  # crown to chin, share of a crop
GOOD = Head(0.0, 0.0, 999.0)  # of which only the picture is judged


@dataclass(frozen=True, slots=True)
class Finding:
    """What was made of one scene."""

    head: Head
    found: bool
    others: int  # boxes that show no face
    guess: Head | None  # from the box alone
    refined: Head | None
    cosines: tuple[float, float]  # embedding of a crop to that of the true framing's: box, refined
    crop: UInt8 | None  # as it would be enrolled


def measure(bundle: Bundle, geometry: Path, labelled: Path | None, count: int, workers: int) -> str:
    """Return a report in Markdown.

    Args:
        bundle: with a face detector.
        geometry: the head geometry pack.
        labelled: a folder of real photos with `labels.csv`, or None.
        count: scenes to draw.
        workers: processes that draw.

    Raises:
        BundleError: the bundle has no face detector.
        InputError: the labelled folder cannot be used.
    """
    detector, maps = open_detector(bundle), open_pose_maps(bundle)
    if detector is None or maps is None:
        raise BundleError(f"{bundle.path}: has no face detector; pack it with one")
    encoder = FaceEncoder(bundle.open("face_encoder"))
    findings = [
        _look(scene, bundle, detector, maps, encoder)
        for scene in draw_scenes(SPAN, count, geometry, SEED, workers)
    ]
    parts = [
        "# The face detector",
        f"Made by `earsight-convert detector measure --scenes {count}` with "
        f"{bundle.manifest.name}, space {bundle.manifest.embedding.space_id}.",
        _detection(findings),
        _framing(findings),
        _degraded(findings, encoder),
        measure_labelled(labelled, detector),
    ]
    return "\n\n".join(parts) + "\n"


def _look(
    scene: Scene, bundle: Bundle, detector: FaceDetector, maps: PoseMaps, encoder: FaceEncoder
) -> Finding:
    head, info = scene.head, bundle.manifest.face_detector
    boxes = detector.detect(scene.picture)
    ours = [box for box in boxes if _holds(box, head)]
    if not ours or info is None:
        return Finding(head, False, len(boxes), None, None, (math.nan, math.nan), None)
    guess = first_guess(ours[0], info)
    refined = refine(scene.picture, guess, maps)
    size = bundle.manifest.models["face_encoder"].inputs["image"].shape[1]
    crops = [
        align(scene.picture, framed, bundle.manifest.face_alignment, size)
        for framed in (head, guess, refined)
    ]
    vectors = [encoder.embed(crop[None]) for crop in crops]
    cosines = (float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2]))
    return Finding(head, True, len(boxes) - len(ours), guess, refined, cosines, crops[2])


def _holds(box: Box, head: Head) -> bool:
    return box.left < head.eyes_x < box.right and box.top < head.eyes_y < box.bottom


def _within(finding: Finding, scale: float = 1.0) -> bool:
    head = finding.head
    return (
        abs(head.yaw) <= scale * STATED.yaw
        and abs(head.pitch) <= scale * STATED.pitch
        and abs(head.roll) <= scale * STATED.roll
    )


def _detection(findings: Sequence[Finding]) -> str:
    rows = [("within the stated pose range", [f for f in findings if _within(f)])]
    angles: Sequence[tuple[str, Callable[[Head], float]]] = (
        ("turned aside", lambda head: head.yaw),
        ("looking up or down", lambda head: head.pitch),
        ("tilted", lambda head: head.roll),
    )
    for name, angle in angles:
        for low, high in ((0, 15), (15, 30), (30, 45)):
            some = [f for f in findings if low <= abs(angle(f.head)) < high]
            rows.append((f"{name} {low} to {high}°", some))
    for low, high in ((48, 64), (64, 128), (128, 320)):
        some = [f for f in findings if _within(f) and low <= f.head.crown_to_chin < high]
        rows.append((f"within, {low} to {high} of 320 pixels from crown to chin", some))
    lines = [
        f"| {name} | {len(some)} | {100 * np.mean([f.found for f in some]):.1f} % |"
        for name, some in rows
        if some
    ]
    false = sum(f.others for f in findings)
    return "\n".join(
        [
            f"Stated pose range: {STATED.yaw:.0f}° aside, {STATED.pitch:.0f}° up or down, "
            f"{STATED.roll:.0f}° tilted. {len(findings)} scenes, {false} boxes beside a face.\n",
            "| rendered heads | scenes | found |",
            "| --- | --- | --- |",
            *lines,
        ]
    )


def _framing(findings: Sequence[Finding]) -> str:
    """Compare the framing by the box alone with that after the pose maps."""
    some = [f for f in findings if f.found and _within(f)]
    box = np.array([_errors(f.head, f.guess) for f in some if f.guess])
    refined = np.array([_errors(f.head, f.refined) for f in some if f.refined])
    names = ("eyes, across", "eyes, down", "size", "turn aside °", "up or down °", "tilt °")
    lines = [
        f"| {name} | {_spread(box[:, i])} | {_spread(refined[:, i])} |"
        for i, name in enumerate(names)
    ]
    cosines = np.array([f.cosines for f in some])
    lines.append(f"| cosine to the true framing, mean | {cosines[:, 0].mean():.3f} "
                 f"| {cosines[:, 1].mean():.3f} |")  # fmt: skip
    low = np.percentile(cosines, 5, axis=0)
    lines.append(f"| the same, 5th percentile | {low[0]:.3f} | {low[1]:.3f} |")
    return "\n".join(
        [
            f"Root mean square errors over {len(some)} heads within the stated range; places and "
            "sizes in crown-chin heights.\n",
            "| error | box alone | with pose maps |",
            "| --- | --- | --- |",
            *lines,
        ]
    )


def _degraded(findings: Sequence[Finding], encoder: FaceEncoder) -> str:
    """Tell how far an embedding moves when a good photo gets smaller, softer, darker, brighter."""
    from PIL import Image, ImageFilter

    good = [
        Image.fromarray(f.crop)
        for f in findings
        if f.crop is not None and _within(f, 0.5) and f.head.crown_to_chin > 112
    ][:60]
    before = [encoder.embed(np.asarray(crop)[None]) for crop in good]
    rows = []
    for pixels in (24, 32, 48, 64):
        small = [_smaller(crop, pixels / HEAD_SHARE) for crop in good]
        rows.append((f"head of {pixels} pixels", small))
    for sigma in (1.0, 1.5, 2.0, 3.0):
        soft = [crop.filter(ImageFilter.GaussianBlur(sigma)) for crop in good]
        rows.append((f"blurred by {sigma:g} of {good[0].width if good else 0} pixels", soft))
    for gain in (0.4, 0.6, 1.4, 1.8):
        lit = [crop.point([min(255, int(v * gain)) for v in range(256)] * 3) for crop in good]
        rows.append((f"light times {gain:g}", lit))
    lines = []
    for name, changed in rows:
        pixels_of = [np.asarray(crop) for crop in changed]
        cosine = np.mean(
            [a @ encoder.embed(b[None]) for a, b in zip(before, pixels_of, strict=True)]
        )
        let_in = np.mean([not any(faults(b, GOOD)) for b in pixels_of])
        lines.append(f"| {name} | {cosine:.3f} | {100 * let_in:.0f} % |")
    return "\n".join(
        [
            f"What spoils {len(good)} good photos; the size of a head is judged before it is "
            f"framed, {SMALLEST_HEAD:.0f} pixels are needed.\n",
            "| change | cosine to the good photo, mean | sharp and light enough |",
            "| --- | --- | --- |",
            *lines,
        ]
    )


def _smaller(crop: Image.Image, side: float) -> Image.Image:
    """Return the crop as it is when the photo had only `side` pixels there."""
    from PIL import Image

    small = crop.resize((round(side), round(side)), Image.Resampling.LANCZOS)
    return small.resize(crop.size, Image.Resampling.LANCZOS)


def _errors(true: Head, told: Head) -> tuple[float, ...]:
    return (
        (told.eyes_x - true.eyes_x) / true.crown_to_chin,
        (told.eyes_y - true.eyes_y) / true.crown_to_chin,
        math.log(told.crown_to_chin / true.crown_to_chin),
        told.yaw - true.yaw,
        told.pitch - true.pitch,
        told.roll - true.roll,
    )


def _spread(errors: npt.NDArray[np.float64]) -> str:
    return f"{np.sqrt(np.square(errors).mean()):.3g}"
