"""Stand-ins for a bundle, its models and a microphone: as strict as the real ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np

from edge.audio.logmel import LogMelSpec
from edge.audio.microphone import AudioBlock, AudioState
from edge.face.gallery import Gallery, Person
from edge.manifest import (
    EmbeddingInfo,
    FaceAlignment,
    FrontendInfo,
    Manifest,
    ModelInfo,
    TensorInfo,
    TraitInfo,
    file_info,
)

RATE = 16_000
DIM = 128
SPACE = "fake-space"
VECTOR = TensorInfo((1, DIM), "int8", 1 / 128, 0)
TRAIT = TensorInfo((1, 1), "int8", 1 / 32, 0)
TRAITS = {
    "female": TraitInfo(0.0, 1.0, "logistic"),
    "child": TraitInfo(-2.0, 1.0, "logistic"),
    "ln_f0": TraitInfo(5.0, 0.4, "exp"),
    "ln_vtl": TraitInfo(2.75, 0.15, "exp"),
}


class FakeModel:
    """Computes its outputs with a function; refuses what an interpreter would refuse."""

    def __init__(self, info: ModelInfo, compute: Callable[..., Mapping[str, np.ndarray]]) -> None:
        self.inputs, self.outputs = info.inputs, info.outputs
        self.backend = SimpleNamespace(name="fake", version="0")
        self.runs = 0
        self._compute = compute

    def run(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run once, as `edge.runtime.Model.run`."""
        self.runs += 1
        _hold(inputs, self.inputs)
        outputs = dict(self._compute(**inputs))
        _hold(outputs, self.outputs)
        return outputs


class FakeBundle:
    """A bundle of three fake models; `drop` leaves models out."""

    def __init__(self, drop: tuple[str, ...] = (), space_id: str = SPACE) -> None:
        self.path = Path("fake.bundle")
        models = {name: info for name, info in _models().items() if name not in drop}
        self.manifest = Manifest(
            format=1,
            name="fake",
            version="0.0",
            created="2024-01-01",
            frontend=FrontendInfo(LogMelSpec(), LogMelSpec().fingerprint()),
            models=models,
            embedding=EmbeddingInfo(DIM, "cosine", space_id),
            traits=TRAITS,
            face_alignment=FaceAlignment(0.5, 0.485, 0.74),
            measured={"auc": 0.5},
            licence="none",
            model_card="",
        )

    def has(self, model: str) -> bool:
        """Tell whether the bundle carries this model."""
        return model in self.manifest.models

    def open(self, model: str, threads: int = 1) -> FakeModel:
        """Return a fresh fake of one model."""
        compute = {"voice_encoder": hear, "face_encoder": see, "portrait_decoder": draw}[model]
        return FakeModel(self.manifest.models[model], compute)


class ScriptedMicrophone:
    """Plays a script of sound and states; like the real one it goes on until it is closed.

    An event in the script is waited for. After the script it delivers silence, or nothing at all
    when, or as soon as, it `stalls`.
    """

    def __init__(
        self,
        script: Iterable[np.ndarray | AudioState | threading.Event],
        stalls: bool | threading.Event = False,
    ) -> None:
        self.level_dbfs = -120.0
        self.muted = False
        self.played = threading.Event()  # the script is over
        self._script = tuple(script)
        self._stalls = stalls if isinstance(stalls, threading.Event) else threading.Event()
        if stalls is True:
            self._stalls.set()
        self._closed = threading.Event()

    def blocks(self) -> Iterator[AudioBlock | AudioState]:
        """Yield the script in blocks of 0.1 s, as fast as they are taken."""
        first, shown = 0, None
        for item in self._endless():
            if self._closed.is_set():
                return
            if shown is not self.muted:
                shown = self.muted
                yield self.state("muted" if shown else "listening")
            if isinstance(item, AudioState):
                yield item
            elif not shown:
                yield AudioBlock(item, first, 0)
                first += len(item)

    def mute(self, on: bool) -> None:
        """Deliver nothing, or sound again."""
        self.muted = on

    def close(self) -> None:
        """End `blocks`."""
        self._closed.set()

    @staticmethod
    def state(state: Literal["listening", "no_audio", "waiting", "muted"]) -> AudioState:
        """Return a state as a microphone gives it."""
        return AudioState(state, "", "scripted", RATE, 0, 0)

    def _endless(self) -> Iterator[np.ndarray | AudioState]:
        for item in self._script:
            if isinstance(item, threading.Event):
                assert item.wait(20), "it did not happen"
            elif isinstance(item, AudioState):
                yield item
            else:
                yield from np.split(item, range(RATE // 10, len(item), RATE // 10))
        self.played.set()
        while not self._closed.wait(0.01):
            if not self._stalls.is_set():
                yield np.zeros(RATE // 10, np.float32)


def crowd(space_id: str, dim: int) -> Gallery:
    """Return a gallery of five people in any directions."""
    vectors = np.random.default_rng([41]).normal(size=(5, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = enumerate(vectors.astype(np.float32))
    return Gallery(space_id, tuple(Person(f"p{i}", f"Person {i}", v, b"") for i, v in rows))


def hear(features: np.ndarray) -> Mapping[str, np.ndarray]:
    """Embed the mean spectrum; the traits are constants (32 is a standardised 1)."""
    spectrum = features[0, :, :, 0].astype(float).mean(axis=0)
    return {
        "embedding": _int8(np.concatenate([spectrum, -spectrum])),
        "female": np.full((1, 1), 32, np.int8),
        "child": np.full((1, 1), -32, np.int8),
        "ln_f0": np.full((1, 1), 16, np.int8),
        "ln_vtl": np.full((1, 1), -16, np.int8),
    }


def see(image: np.ndarray) -> Mapping[str, np.ndarray]:
    """Embed the mean of each 8 x 14 block."""
    blocks = image[0].astype(float).mean(axis=2).reshape(8, 14, 16, 7).mean(axis=(1, 3))
    return {"embedding": _int8(blocks.ravel() + 0.5)}


def draw(embedding: np.ndarray) -> Mapping[str, np.ndarray]:
    """Draw a flat face: skin on grey, so that a picture of it is recognisable in a test."""
    down, across = np.mgrid[-1:1:128j, -1:1:128j]
    face = (across / 0.55) ** 2 + (down / 0.8) ** 2 < 1
    return {"portrait": np.where(face[None, :, :, None], [[[[90, 40, 10]]]], 20).astype(np.int8)}


def _models() -> dict[str, ModelInfo]:
    spec = LogMelSpec()
    features = TensorInfo((1, spec.frames, spec.mels, 1), "int8", 1 / 32, 0)
    pixels = [TensorInfo((1, side, side, 3), "int8", 1 / 255, -128) for side in (112, 128)]
    file = {"cpu": file_info("x.tflite", b"")}
    voice = {"embedding": VECTOR, **dict.fromkeys(TRAITS, TRAIT)}
    return {
        "voice_encoder": ModelInfo(file, {"features": features}, voice, {}, "", 1),
        "face_encoder": ModelInfo(file, {"image": pixels[0]}, {"embedding": VECTOR}, {}, "", 1),
        "portrait_decoder": ModelInfo(
            file, {"embedding": VECTOR}, {"portrait": pixels[1]}, {}, "", 1
        ),
    }


def _int8(vector: np.ndarray) -> np.ndarray:
    """Scale to the range of a code and add the batch axis."""
    return np.rint(vector / max(np.abs(vector).max(), 1e-9) * 127).astype(np.int8)[None]


def _hold(arrays: Mapping[str, np.ndarray], tensors: Mapping[str, TensorInfo]) -> None:
    if arrays.keys() != tensors.keys():
        raise ValueError(f"tensors are {sorted(tensors)}, got {sorted(arrays)}")
    for name, array in arrays.items():
        want = tensors[name]
        if array.shape != want.shape or array.dtype.name != want.dtype:
            raise ValueError(f"{name}: {array.dtype} {array.shape} is not {want}")
