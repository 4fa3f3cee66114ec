"""Fits the maps that tell from a detector's box how the head in it is held (`edge.face.pose`)."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge.face.align import Head
from edge.face.detect import FaceDetector
from edge.face.pose import FEATURES, PoseMaps, features, first_guess, luma, refine, targets
from edge.runtime import open_model
from edge.types import Float32, UInt8

from .scenes import PoseRange, Scene, SceneRange, draw_scenes
from .shipped import INFO, MODEL, shipped_model

POSES = PoseRange(yaw=70.0, pitch=40.0, roll=40.0)
SIDE = 192  # pixels of a scene
SMALLEST, LARGEST = 0.3, 0.6  # crown to chin, share of a scene
SCENES = 2000
STEPS = 2
COPIES = 2  # of each scene: as detected, and shifted, scaled and noisy
RIDGE = 0.1  # share of the features' mean variance
SHIFT, SCALE, ROLL, NOISE = 0.035, 0.06, 3.0, 10.0  # how the further copies vary


@dataclass(frozen=True, slots=True)
class _Example:
    """A head, and where a detector's box puts it."""

    picture: UInt8
    head: Head
    guess: Head


def fit_pose(geometry: Path, seed: int, workers: int) -> bytes:
    """Draw people in scenes and return the maps fitted on them, as the file that a bundle carries.

    Scenes in which the detector finds no face are left out.
    """
    scenes = draw_scenes(
        SceneRange(POSES, True, SIDE, SMALLEST, LARGEST), SCENES, geometry, seed, workers
    )
    detector = FaceDetector(open_model(MODEL, shipped_model(), "models.face_detector"), INFO)
    examples = [e for scene in scenes if (e := _example(scene, detector)) is not None]
    examples += [_mirrored(example) for example in examples]
    rng = np.random.default_rng([seed, 5])
    maps = np.zeros((0, FEATURES + 1, 6), np.float32)
    for _ in range(STEPS):
        inputs, outputs = _step(examples, PoseMaps(maps), rng)
        maps = np.concatenate([maps, _ridge(inputs, outputs)[None]])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, maps=maps.astype(np.float16))
    return buffer.getvalue()


def _example(scene: Scene, detector: FaceDetector) -> _Example | None:
    for box in detector.detect(scene.picture):
        head = scene.head
        if box.left < head.eyes_x < box.right and box.top < head.eyes_y < box.bottom:
            return _Example(scene.picture, head, first_guess(box, INFO))
    return None


def _mirrored(example: _Example) -> _Example:
    def flip(head: Head) -> Head:
        return replace(head, eyes_x=SIDE - head.eyes_x, yaw=-head.yaw, roll=-head.roll)

    picture = np.ascontiguousarray(example.picture[:, ::-1])
    return _Example(picture, flip(example.head), flip(example.guess))


def _step(
    examples: Sequence[_Example], maps: PoseMaps, rng: np.random.Generator
) -> tuple[Float32, Float32]:
    """Return features (n, FEATURES) and targets (n, 6) where the maps so far put the heads."""
    inputs, outputs = [], []
    for example in examples:
        for copy in range(COPIES):
            picture, guess = example.picture, example.guess
            if copy:
                noise = rng.normal(0, rng.uniform(0, NOISE), picture.shape)
                picture = (picture + noise).clip(0, 255).astype(np.uint8)
                guess = _shaken(guess, rng)
            guess = refine(picture, guess, maps)
            if copy and len(maps.maps):
                guess = _shaken(guess, rng)
            inputs.append(features(luma(picture), guess))
            outputs.append(targets(example.head, guess))
    return np.array(inputs), np.array(outputs)


def _shaken(head: Head, rng: np.random.Generator) -> Head:
    shift = rng.normal(0, SHIFT, 2) * head.crown_to_chin
    return replace(
        head,
        eyes_x=head.eyes_x + shift[0],
        eyes_y=head.eyes_y + shift[1],
        crown_to_chin=head.crown_to_chin * math.exp(rng.normal(0, SCALE)),
        roll=head.roll + rng.normal(0, ROLL),
    )


def _ridge(inputs: Float32, outputs: Float32) -> Float32:
    """Return the ridge regression (FEATURES + 1, 6), its constant last."""
    mean_in, mean_out = inputs.mean(axis=0), outputs.mean(axis=0)
    centred = (inputs - mean_in).astype(np.float64)
    weight = RIDGE * np.square(centred).sum() / centred.shape[1]
    normal = centred.T @ centred + weight * np.eye(centred.shape[1])
    slopes = np.linalg.solve(normal, centred.T @ (outputs - mean_out))
    constant = mean_out - mean_in @ slopes
    return np.asarray(np.concatenate([slopes, constant[None]]), np.float32)
