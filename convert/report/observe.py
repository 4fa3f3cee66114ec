"""What every backend makes of the test people: heard, seen and drawn, once, for all tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge.audio.logmel import INPUT_SCALE, LogMelSpec, features
from edge.types import Float32, Int8, UInt8

from ..backends import Backend
from ..metrics import Index, to_pixels, unit
from ..parallel import each
from ..training.batches import centre_crop
from ..verify import DRAWS
from .degrade import CONDITIONS, RATE
from .people import HeardAndSeen, Int16

SECONDS = (1.5, 3.0, 6.0, 10.0)  # of voice: Speech2Face has 3 and 6
DRAWN_FROM = "6 s"  # the voice that portraits are drawn from, as in Speech2Face
BABBLE_CLIPS = 24
SEED = 5150
TASK = 8  # people prepared at a time
PORTION = 256  # inputs a backend is given at a time

Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Windows:
    """The encoder windows of some sounds."""

    codes: Int8  # (w, frames, mels)
    owner: Index  # (w,) sound each belongs to, 0 .. n - 1, every sound at least once


@dataclass(frozen=True, slots=True)
class Heard:
    """What a voice encoder makes of n sounds."""

    embedding: Float32  # (n, d), the mean direction of a sound's windows
    traits: Mapping[str, Float32]  # (n,) each, mean of its windows, before the link function


@dataclass(frozen=True, slots=True)
class Observed:
    """What one backend makes of the test people."""

    voices: Mapping[str, Heard]  # by "draw 0", "6 s", "noise 5 dB", ...
    faces: Float32  # (draws, n, d), photo k of everybody
    portraits: UInt8  # (n, 128, 128, 3), from the voice named DRAWN_FROM
    portrait_faces: Float32  # (n, d), the face encoder's view of the portraits


@dataclass(frozen=True, slots=True)
class _Task:
    clips: tuple[Int16, ...]
    first: int  # index of the first of these people
    others: Int16  # for babble
    spec: LogMelSpec


def prepare(people: HeardAndSeen, spec: LogMelSpec, workers: int) -> dict[str, Windows]:
    """Cut and damage everybody's sound and compute the features of all of it."""
    from tqdm import tqdm

    rng = np.random.default_rng([SEED, 1])
    n = len(people.people)
    others = np.array([people.clips[i][0] for i in rng.integers(0, n, BABBLE_CLIPS)])
    tasks = [_Task(people.clips[i : i + TASK], i, others, spec) for i in range(0, n, TASK)]
    codes: dict[str, list[Int8]] = {}
    owner: dict[str, list[int]] = {}
    with tqdm(total=n, desc="sounds", unit="person") as bar:
        for task, done in zip(tasks, each(_prepare, tasks, workers), strict=True):
            for name, windows in done:
                codes.setdefault(name, []).append(windows.codes)
                owner.setdefault(name, []).extend((windows.owner + task.first).tolist())
            bar.update(len(task.clips))
    return {name: Windows(np.concatenate(codes[name]), np.array(owner[name])) for name in codes}


def inputs_of(sounds: Mapping[str, Windows], people: HeardAndSeen) -> int:
    """Return how many inputs `observe` gives a backend: the length of its progress bar."""
    windows = sum(len(sound.codes) for sound in sounds.values())
    return windows + (DRAWS + 2) * len(people.people)


def observe(
    backend: Backend, sounds: Mapping[str, Windows], people: HeardAndSeen, progress: Progress
) -> Observed:
    """Run everything through one backend."""
    voices = {name: hear(backend, sound, progress) for name, sound in sounds.items()}
    shots = people.photos.shape[1]
    faces = [see(backend, people.photos[:, k % shots], progress) for k in range(DRAWS)]
    portraits = draw(backend, voices[DRAWN_FROM].embedding, progress)
    return Observed(voices, np.array(faces), portraits, see(backend, portraits, progress))


def hear(backend: Backend, sounds: Windows, progress: Progress) -> Heard:
    """Encode windows and average them sound by sound, as the device does."""
    outputs: dict[str, list[Float32]] = {}
    for start in range(0, len(sounds.codes), PORTION):
        codes = sounds.codes[start : start + PORTION, ..., None].astype(np.float32)
        for name, values in backend.run("voice_encoder", codes * np.float32(INPUT_SCALE)).items():
            outputs.setdefault(name, []).append(values)
        progress(len(codes))
    means = {name: _means(np.concatenate(o), sounds.owner) for name, o in outputs.items()}
    directions = _means(unit(np.concatenate(outputs["embedding"])), sounds.owner)
    traits = {name: values[:, 0] for name, values in means.items() if name != "embedding"}
    return Heard(unit(directions), traits)


def see(backend: Backend, pictures: UInt8, progress: Progress) -> Float32:
    """Return the unit embeddings (n, d) of pictures (n, 128, 128, 3)."""
    parts = []
    for start in range(0, len(pictures), PORTION):
        images = centre_crop(pictures[start : start + PORTION])
        parts.append(backend.run("face_encoder", images)["embedding"])
        progress(len(images))
    return unit(np.concatenate(parts))


def draw(backend: Backend, embeddings: Float32, progress: Progress) -> UInt8:
    """Return the portraits (n, 128, 128, 3) of unit embeddings (n, d)."""
    parts = []
    for start in range(0, len(embeddings), PORTION):
        given = embeddings[start : start + PORTION]
        parts.append(to_pixels(backend.run("portrait_decoder", given)["portrait"]))
        progress(len(given))
    return np.concatenate(parts)


def _prepare(task: _Task) -> list[tuple[str, Windows]]:
    """Return the windows of everything that is heard of some people, by name."""
    others = task.others.astype(np.float32) / np.float32(32768.0)
    made: dict[str, list[Int8]] = {}
    for i, recorded in enumerate(task.clips):
        rng = np.random.default_rng([SEED, 2, task.first + i])
        clips = recorded.astype(np.float32) / np.float32(32768.0)
        for k in range(DRAWS):
            _add(made, f"draw {k}", _middle(clips[k % len(clips)], task.spec), task.spec)
        speech = np.concatenate(clips)
        for seconds in SECONDS:
            length = int(seconds * RATE)
            sound = np.resize(speech, max(length, len(speech)))[:length]
            _add(made, f"{seconds:g} s", sound, task.spec)
        for name, damage in CONDITIONS.items():
            _add(made, name, _middle(damage(clips[0], rng, others), task.spec), task.spec)
    return [(name, _windows(parts)) for name, parts in made.items()]


def _middle(sound: Float32, spec: LogMelSpec) -> Float32:
    """Return the part of a clip that the clean features of training are cut from."""
    start = (len(sound) - spec.window_samples) // 2
    return sound[start : start + spec.window_samples]


def _add(made: dict[str, list[Int8]], name: str, sound: Float32, spec: LogMelSpec) -> None:
    made.setdefault(name, []).append(features(sound, spec))


def _windows(sounds: Sequence[Int8]) -> Windows:
    counts = [len(codes) for codes in sounds]
    return Windows(np.concatenate(sounds), np.repeat(np.arange(len(sounds)), counts))


def _means(values: Float32, owner: Index) -> Float32:
    """Return the mean (n, ...) of the rows (w, ...) of each owner."""
    sums = np.zeros((int(owner.max()) + 1, *values.shape[1:]))
    np.add.at(sums, owner, values)
    counts = np.bincount(owner).reshape(-1, *(1,) * (values.ndim - 1))
    return np.asarray(sums / counts, np.float32)
