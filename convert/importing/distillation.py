"""Trains a small student to give what a large teacher gives for the same sounds or faces.

A large teacher takes seconds for an input, so it is asked once for each input of a pool, which the
student then sees again and again. Inputs are made anew from their files whenever they are wanted:
a pool needs the memory of its embeddings only. Both the teacher's answers and the student are kept
in a folder, so that a run that was stopped goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.audio.frontend import FrontendSpec, encoder_input
from edge.errors import ConfigError
from edge.types import Float32

from ..checkpoints.layouts import Layout
from ..fitting.loop import find_strategy, run_steps
from ..metrics import unit
from ..networks.mobile_face_net import mobile_face_net
from ..networks.speech2face_voice import speech2face_student
from ..networks.voice_students import shape_of_sound_voice_student, x_vector_student
from .calibration import PICTURES, SOUNDS, found, read_face, real

SHORTEST_S = 3.0  # of a random crop; what a device hears is seldom shorter
RATE = 16000  # Hz
HELD_OUT = 16  # inputs that a student is measured on
SHARD = 64  # of the teacher's answers, kept as one file
THREADS = 4  # that read files
LEARNING_RATE = 2e-3  # at the start; it falls to nothing along a cosine
Inputs = Callable[[int], Float32]  # number → one input (...), always the same


@dataclass(frozen=True, slots=True)
class Student:
    """A network for devices in the place of a large one: the same inputs and outputs."""

    role: str
    teachers: tuple[str, ...]  # layouts
    build: Callable[[], Any]


STUDENTS = {
    "speech2face-student": Student(
        "voice_encoder", ("speech2face-voice", "speech2face-voice-rectified"), speech2face_student
    ),
    "speech2face-phase-student": Student(
        "voice_encoder", ("speech2face-voice-keras",), speech2face_student
    ),
    "shape-of-sound-student": Student(
        "voice_encoder", ("shape-of-sound",), shape_of_sound_voice_student
    ),
    "x-vector-student": Student("voice_encoder", ("x-vector",), x_vector_student),
    "shape-of-sound-face-student": Student("face_encoder", ("shape-of-sound",), mobile_face_net),
}


def find_student(name: str, layout: str) -> Student:
    """Return a student by name.

    Raises:
        ConfigError: there is none, or it is not of this teacher.
    """
    student = STUDENTS.get(name)
    if student is None or layout not in student.teachers:
        fitting = [n for n, s in STUDENTS.items() if layout in s.teachers]
        others = ", ".join(fitting) or "none"
        raise ConfigError(f"'{name}' is no student of {layout}; it has {others}")
    return student


class Distiller:
    """A student on its way.

    The loss is the squared distance relative to the teacher's own length, so that vectors of any
    size count alike, plus one minus the cosine, by which embeddings are compared later.
    """

    def __init__(self, student: Any, total: int) -> None:
        import tensorflow as tf

        self.strategy = find_strategy("one")
        schedule = tf.keras.optimizers.schedules.CosineDecay(LEARNING_RATE, total)
        self._student, self._optimizer = student, tf.keras.optimizers.Adam(schedule)
        self._optimizer.build(student.trainable_variables)
        self.step = tf.Variable(0, dtype=tf.int64)
        self._compiled = self._compile()

    def parts(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"student": self._student, "optimizer": self._optimizer, "step": self.step}

    def train(self, step: int, batch: tuple[Float32, Float32]) -> float:
        """Take one step on inputs and the teacher's embeddings; returns its loss."""
        return float(self._compiled(*batch))

    def _compile(self) -> Any:
        import tensorflow as tf

        student, optimizer = self._student, self._optimizer

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def train_step(inputs: Any, wanted: Any) -> Any:
            with tf.GradientTape() as tape:
                given = student(inputs, training=True)["embedding"]
                length = tf.reduce_sum(wanted**2, axis=1)
                distance = tf.reduce_sum((given - wanted) ** 2, axis=1) / (length + 1e-9)
                own = tf.math.l2_normalize(given, axis=1)
                cosine = tf.reduce_sum(own * tf.math.l2_normalize(wanted, axis=1), axis=1)
                loss = tf.reduce_mean(distance + 1.0 - cosine)
            variables = student.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return loss

        return train_step


def distil(
    teacher: Any, student: Any, inputs: Inputs, pool: int, size: int, steps: int, seed: int,
    folder: Path,
) -> None:  # fmt: skip
    """Train a student on a teacher's embeddings, going on from what `folder` holds.

    Args:
        teacher: Keras model with an output `embedding` (n, d); it is not changed.
        student: Keras model of the same input and output; trained in place.
        inputs: makes the inputs of the pool.
        pool: how many there are.
        size: inputs of one step.
        steps: of the whole run.
        seed: of the order in which inputs are drawn.
        folder: for the teacher's answers and the checkpoint.

    Raises:
        EarsightError: the loss is not finite.
        InputError: a file cannot be used; names it.
    """
    wanted = answers(teacher, inputs, pool, folder / "teacher")
    start_from_statistics(student, wanted)
    readers = ThreadPoolExecutor(THREADS)

    def make(step: int) -> tuple[Float32, Float32]:
        rows = np.random.default_rng([seed, 1, step]).integers(0, pool, size)
        return np.stack(list(readers.map(inputs, rows.tolist()))), wanted[rows]

    try:
        run_steps(Distiller(student, steps), make, steps, folder, "student")
    finally:
        readers.shutdown(cancel_futures=True)


def answers(teacher: Any, inputs: Inputs, pool: int, folder: Path) -> Float32:
    """Return the teacher's embeddings (pool, d); those that `folder` holds are not made again."""
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, pool, SHARD)
    files = [folder / f"{start:07d}.npy" for start in starts]
    done = sum(file.exists() for file in files)
    with tqdm(total=len(files), initial=done, desc="teacher", unit="shard") as bar:
        for start, file in zip(starts, files, strict=True):
            if file.exists():
                continue
            rows = range(start, min(start + SHARD, pool))
            made = [teacher(inputs(i)[None], training=False)["embedding"] for i in rows]
            partial = file.with_suffix(".partial.npy")
            np.save(partial, np.concatenate([np.asarray(m, np.float32) for m in made]))
            partial.replace(file)
            bar.update()
    return np.concatenate([np.load(file) for file in files])


def start_from_statistics(student: Any, wanted: Float32) -> None:
    """Give a student's last layer the mean of its teacher's embeddings (n, d), else slow to learn.

    A batch norm takes their standard deviation too.
    """
    last = [layer for layer in student.layers if layer.weights][-1]
    values = last.get_weights()
    if type(last).__name__ == "BatchNormalization":
        values[:2] = [wanted.std(axis=0) + 1e-6, wanted.mean(axis=0)]
    else:
        values[1] = wanted.mean(axis=0)
    last.set_weights(values)


def held_out_pairs(teacher: Any, inputs: Inputs, folder: Path) -> tuple[list[Float32], Float32]:
    """Return inputs to measure a student on, and the teacher's embeddings of them (n, d)."""
    wanted = answers(teacher, inputs, HELD_OUT, folder)
    return [inputs(i)[None] for i in range(HELD_OUT)], wanted


def agreement(student: Any, given: list[Float32], wanted: Float32) -> tuple[float, float]:
    """Return how alike a student's embeddings and its teacher's (n, d) are.

    Returns:
        Their mean cosine, and the same after the teacher's mean is taken out of both: what is left
        is what tells inputs apart, of which a constant would know nothing.
    """
    told = np.concatenate([np.asarray(student(x, training=False)["embedding"]) for x in given])
    centre = wanted.mean(axis=0)
    plain, centred = (
        float((unit(wanted - c) * unit(told - c)).sum(axis=1).mean()) for c in (0.0, centre)
    )
    return plain, centred


def inputs_for(
    student: Student, layout: Layout, voices: Path | None, faces: Path | None, seed: int
) -> tuple[Inputs, Inputs]:
    """Return inputs of the recordings or photos under a folder: to train on, and held out.

    A tenth of the files is held out; of fewer than ten all serve for both.

    Raises:
        ConfigError: the folder the student's role needs was not given.
        InputError: it holds fewer than two usable files.
    """
    sees = student.role == "face_encoder"
    folder, option = (faces, "--faces") if sees else (voices, "--voices")
    if folder is None:
        raise ConfigError(f"{student.role}: give {option} FOLDER, what the student is to learn on")
    paths = found(folder, PICTURES if sees else SOUNDS)
    trained, held_out = ([p for i, p in enumerate(paths) if i % 10], paths[::10])
    if len(paths) < 10:
        trained = held_out = paths
    if sees:
        return face_inputs(trained, seed), face_inputs(held_out, seed + 1)
    if layout.frontend is None:
        raise ConfigError(f"{layout.name}: has no front-end, so nothing to hear")
    spec = layout.frontend
    return voice_inputs(trained, spec, seed), voice_inputs(held_out, spec, seed + 1)


def voice_inputs(paths: list[Path], spec: FrontendSpec, seed: int) -> Inputs:
    """Return features of random crops, 3 s or longer, of recordings, at random levels."""
    from edge.audio.file import read_recording

    def make(number: int) -> Float32:
        rng = np.random.default_rng([seed, 0, number])
        sound = read_recording(paths[rng.integers(len(paths))]).samples
        length = rng.integers(min(len(sound), round(SHORTEST_S * RATE)), len(sound) + 1)
        start = rng.integers(0, len(sound) - length + 1)
        level = np.float32(10 ** rng.uniform(-0.5, 0.3))
        crop = sound[start : start + length] * level
        return np.asarray(real(encoder_input(crop, spec))[0], np.float32)

    return make


def face_inputs(paths: list[Path], seed: int) -> Inputs:
    """Return photos (h, w, 3), 0..1, mirrored and lit at random."""

    def make(number: int) -> Float32:
        rng = np.random.default_rng([seed, 0, number])
        picture = read_face(paths[rng.integers(len(paths))]).astype(np.float32) / np.float32(255)
        picture = picture[:, ::-1] if rng.random() < 0.5 else picture
        return np.asarray(np.clip(picture * rng.uniform(0.7, 1.3), 0.0, 1.0), np.float32)

    return make
