"""Trains a small student to give what a large teacher gives for the same sounds or faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edge.audio.frontend import FrontendSpec, encoder_input
from edge.errors import ConfigError
from edge.types import Float32

from ..checkpoints.layouts import Layout
from ..networks.mobile_face_net import mobile_face_net
from ..networks.shape_of_sound_students import shape_of_sound_voice_student
from ..networks.speech2face_voice import speech2face_student
from .calibration import PICTURES, SOUNDS, found, read_face

SHORTEST_S = 3.0  # of a random crop; what a device hears is seldom shorter
RATE = 16000  # Hz
Batches = Callable[[int], Float32]  # step → inputs (n, ...)


@dataclass(frozen=True, slots=True)
class Student:
    """A network for devices in the place of a large one: the same inputs and outputs."""

    role: str
    teacher: str  # layout
    build: Callable[[], Any]


STUDENTS = {
    "speech2face-student": Student("voice_encoder", "speech2face-voice", speech2face_student),
    "shape-of-sound-student": Student(
        "voice_encoder", "shape-of-sound", shape_of_sound_voice_student
    ),
    "shape-of-sound-face-student": Student("face_encoder", "shape-of-sound", mobile_face_net),
}


def find_student(name: str, layout: str) -> Student:
    """Return a student by name.

    Raises:
        ConfigError: there is none, or it is not of this teacher.
    """
    student = STUDENTS.get(name)
    if student is None or student.teacher != layout:
        fitting = [n for n, s in STUDENTS.items() if s.teacher == layout]
        others = ", ".join(fitting) or "none"
        raise ConfigError(f"'{name}' is no student of {layout}; it has {others}")
    return student


def distil(
    teacher: Any, student: Any, batches: Batches, steps: int, learning_rate: float = 2e-3
) -> list[float]:
    """Train a student on a teacher's embeddings; returns the loss of every step.

    The loss is the squared distance relative to the teacher's own length, so that vectors of any
    size count alike, plus one minus the cosine, by which embeddings are compared later.

    Args:
        teacher: Keras model with an output `embedding` (n, d); it is not changed.
        student: Keras model of the same input and output; trained in place.
        batches: gives the inputs of a step.
        steps: how many.
        learning_rate: at the start; it falls to nothing along a cosine.
    """
    import tensorflow as tf

    schedule = tf.keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    optimizer = tf.keras.optimizers.Adam(schedule)

    @tf.function  # type: ignore[untyped-decorator]
    def train_step(inputs: Any, wanted: Any) -> Any:
        with tf.GradientTape() as tape:
            given = student(inputs, training=True)["embedding"]
            length = tf.reduce_sum(wanted**2, axis=1)
            distance = tf.reduce_sum((given - wanted) ** 2, axis=1) / (length + 1e-9)
            cosine = tf.reduce_sum(
                tf.math.l2_normalize(given, axis=1) * tf.math.l2_normalize(wanted, axis=1), axis=1
            )
            loss = tf.reduce_mean(distance + 1.0 - cosine)
        variables = student.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    losses = []
    for step in range(steps):
        inputs = batches(step)
        losses.append(float(train_step(inputs, teacher(inputs, training=False)["embedding"])))
    return losses


def voice_batches(sounds: list[Float32], spec: FrontendSpec, size: int, seed: int) -> Batches:
    """Return batches of random crops, 3 s or longer, of sounds at random levels."""
    return partial(_voice_batch, sounds, spec, size, seed)


def face_batches(pictures: Float32, size: int, seed: int) -> Batches:
    """Return batches of pictures (n, h, w, 3), 0..1, mirrored and lit at random."""
    return partial(_face_batch, pictures, size, seed)


def batches_for(
    student: Student,
    layout: Layout,
    voices: Path | None,
    faces: Path | None,
    size: int,
    seed: int,
) -> Batches:
    """Return batches of every recording or photo under a folder.

    Raises:
        ConfigError: the folder the student's role needs was not given.
        InputError: it holds fewer than two usable files.
    """
    sees = student.role == "face_encoder"
    folder, option = (faces, "--faces") if sees else (voices, "--voices")
    if folder is None:
        raise ConfigError(f"{student.role}: give {option} FOLDER, what the student is to learn on")
    if sees:
        pictures = np.stack([read_face(path) for path in found(folder, PICTURES)])
        return face_batches(pictures.astype(np.float32) / np.float32(255.0), size, seed)
    if layout.frontend is None:
        raise ConfigError(f"{layout.name}: has no front-end, so nothing to hear")
    from edge.audio.file import read_recording

    sounds = [read_recording(path).samples for path in found(folder, SOUNDS)]
    return voice_batches(sounds, layout.frontend, size, seed)


def _voice_batch(
    sounds: list[Float32], spec: FrontendSpec, size: int, seed: int, step: int
) -> Float32:
    rng = np.random.default_rng([seed, step])
    clips = []
    for index in rng.integers(0, len(sounds), size):
        sound = sounds[index]
        length = rng.integers(min(len(sound), round(SHORTEST_S * RATE)), len(sound) + 1)
        start = rng.integers(0, len(sound) - length + 1)
        level = np.float32(10 ** rng.uniform(-0.5, 0.3))
        clips.append(encoder_input(sound[start : start + length] * level, spec)[0])
    return np.asarray(np.stack(clips), np.float32)


def _face_batch(pictures: Float32, size: int, seed: int, step: int) -> Float32:
    rng = np.random.default_rng([seed, step])
    chosen = pictures[rng.integers(0, len(pictures), size)]
    chosen = np.where(rng.random((size, 1, 1, 1)) < 0.5, chosen[:, :, ::-1], chosen)
    light = rng.uniform(0.7, 1.3, (size, 1, 1, 1))
    return np.asarray(np.clip(chosen * light, 0.0, 1.0), np.float32)
