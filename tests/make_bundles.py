"""Makes tests/data/tiny.bundle and tests/data/bad_bundles/ (needs the [convert] extra).

Run: python tests/make_bundles.py

`tiny.bundle` keeps the whole contract with three untrained models of a few kilobytes. Each folder
of `bad_bundles` is the tiny bundle with one fault; `expected.txt` beside its files is the field
that the refusal must name.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.build import MODELS
from convert.flatbuffer import TfliteModel
from convert.pack import ALIGNMENT, TRAITS
from convert.quantize import quantize
from edge.audio.logmel import LogMelSpec
from edge.bundle import FORMAT, write_bundle
from edge.manifest import EmbeddingInfo, FrontendInfo, Manifest, file_info

DATA = Path(__file__).parent / "data"
DIM = 16


def tiny_graphs(traits: Iterable[str]) -> dict[str, Any]:
    """Build the three models, untrained, always with the same weights."""
    import tensorflow as tf

    tf.keras.utils.set_random_seed(5)
    layers = tf.keras.layers
    features = layers.Input((256, 64, 1), name="features")
    pooled = layers.Flatten()(layers.AveragePooling2D((128, 8))(features))
    voice = {"embedding": layers.Dense(DIM, name="embedding")(pooled)}
    voice |= {name: layers.Dense(1, name=name)(pooled) for name in traits}
    image = layers.Input((112, 112, 3), name="image")
    seen = layers.Flatten()(layers.AveragePooling2D(28)(image))
    face = {"embedding": layers.Dense(DIM, name="embedding")(seen)}
    embedding = layers.Input((DIM,), name="embedding")
    drawn = layers.Reshape((8, 8, 3))(layers.Dense(8 * 8 * 3, "sigmoid")(embedding))
    for _ in range(4):
        drawn = layers.Conv2DTranspose(3, 2, 2)(drawn)
    portrait = {"portrait": layers.Activation("sigmoid")(drawn)}
    return {
        "voice_encoder": tf.keras.Model(features, voice),
        "face_encoder": tf.keras.Model(image, face),
        "portrait_decoder": tf.keras.Model(embedding, portrait),
    }


def make_models(folder: Path) -> dict[str, bytes]:
    """Build, quantize and return three tiny models."""
    rng = np.random.default_rng(5)
    codes = rng.integers(-128, 128, (8, 256, 64, 1)) / 32.0
    codes[0, 0, 0], codes[0, 0, 1] = -128 / 32, 127 / 32
    samples = {
        "voice_encoder": codes,
        "face_encoder": rng.random((8, 112, 112, 3)),
        "portrait_decoder": rng.normal(0, DIM**-0.5, (32, DIM)),
    }
    contents = {}
    for name, graph in tiny_graphs(TRAITS).items():
        graph.save(folder / f"{name}.keras")
        quantize(folder / f"{name}.keras", samples[name], MODELS[name], folder / f"{name}.tflite")
        contents[f"{name}.tflite"] = (folder / f"{name}.tflite").read_bytes()
    return contents


def make_manifest(contents: dict[str, bytes]) -> Manifest:
    """Describe the tiny models."""
    spec = LogMelSpec()
    return Manifest(
        format=FORMAT,
        name="tiny",
        version="0.0.0",
        created="2026-01-01",
        frontend=FrontendInfo(spec, spec.fingerprint()),
        models={
            Path(name).stem: TfliteModel(content).model_info(file_info(name, content))
            for name, content in contents.items()
        },
        embedding=EmbeddingInfo(DIM, "cosine", "tiny-space"),
        traits=TRAITS,
        face_alignment=ALIGNMENT,
        measured={"matching_1_2": 0.5},
        licence="CC0",
        model_card="Untrained; for tests.\n",
    )


@dataclass(frozen=True)
class Fault:
    """One change of a sound manifest, and what the refusal must name."""

    change: Callable[[dict[str, Any]], None]
    expected: str


def _set(*path: str, value: Any, expected: str = "") -> Fault:
    def change(data: dict[str, Any]) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return Fault(change, expected or ".".join(path))


def _drop(*path: str) -> Fault:
    def change(data: dict[str, Any]) -> None:
        for key in path[:-1]:
            data = data[key]
        del data[path[-1]]

    return Fault(change, ".".join(path))


def _rename(*path: str, to: str, expected: str) -> Fault:
    def change(data: dict[str, Any]) -> None:
        for key in path[:-1]:
            data = data[key]
        data[to] = data.pop(path[-1])

    return Fault(change, expected)


VOICE = ("models", "voice_encoder")
FILE = (*VOICE, "files", "cpu")
FEATURES = (*VOICE, "inputs", "features")
OUTPUTS = (*VOICE, "outputs")
ZEROS = "0" * 64
# a name that begins with "open_" is found only when the model is opened
FAULTS = {
    "format_unknown": _set("format", value=99),
    "format_is_text": _set("format", value="1"),
    "key_unknown": _set("colour", value="blue"),
    "key_misspelt": _set("embeding", value={}),
    "key_missing": _drop("licence"),
    "name_is_number": _set("name", value=7),
    "frontend_other_numbers": _set(
        "frontend", "spec", "hop", value=200, expected="frontend.fingerprint"
    ),
    "frontend_other_tables": _set("frontend", "fingerprint", value=ZEROS),
    "model_missing": _drop("models", "voice_encoder"),
    "model_unknown": _rename("models", "portrait_decoder", to="mouth", expected="models.mouth"),
    "file_damaged": _set(*FILE, "sha256", value=ZEROS),
    "file_truncated": _set(*FILE, "bytes", value=1),
    "file_absent": _set(*FILE, "file", value="gone.tflite"),
    "file_outside": _set(*FILE, "file", value="../voice_encoder.tflite"),
    "no_cpu_file": _rename(*FILE, to="edgetpu", expected=".".join(FILE)),
    "input_missing": _drop(*FEATURES),
    "input_scale": _set(*FEATURES, "scale", value=0.5),
    "shape_of_features": _set(*FEATURES, "shape", value=[1, 99, 64, 1]),
    "dtype_unknown": _set(*FEATURES, "dtype", value="int4"),
    "dim_disagrees": _set(
        "embedding", "dim", value=17, expected="models.face_encoder.outputs.embedding.shape"
    ),
    "metric_unknown": _set("embedding", "metric", value="l2"),
    "space_id_empty": _set("embedding", "space_id", value="", expected="embedding"),
    "trait_missing": _drop("traits", "female"),
    "trait_link": _set("traits", "female", "link", value="softmax"),
    "measured_is_text": _set("measured", "matching_1_2", value="good"),
    "open_output_scale": _set(*OUTPUTS, "embedding", "scale", value=0.25),
    "open_zero_point": _set(*OUTPUTS, "female", "zero_point", value=3),
    "open_output_dtype": _set(*OUTPUTS, "child", "dtype", value="uint8"),
}


def main() -> None:
    """Write everything anew."""
    work = DATA / ".models"
    work.mkdir(parents=True, exist_ok=True)
    contents = make_models(work)
    shutil.rmtree(work)
    manifest = make_manifest(contents)
    write_bundle(DATA / "tiny.bundle", manifest, contents)
    good = json.loads((DATA / "tiny.bundle" / "manifest.json").read_text())
    shutil.rmtree(DATA / "bad_bundles", ignore_errors=True)
    for name, fault in FAULTS.items():
        data = json.loads(json.dumps(good))
        fault.change(data)
        text = json.dumps(data, indent=2, sort_keys=True) + "\n"
        _write(name, text, contents, fault.expected)
    text = json.dumps(good, indent=2, sort_keys=True)
    _write("json_truncated", text[: len(text) // 2], contents, "json_truncated")
    _write("json_key_twice", text.replace("{", '{\n  "name": "twice",', 1), contents, "name")
    _write("json_is_a_list", "[]\n", contents, "not a JSON object")


def _write(name: str, manifest: str, contents: dict[str, bytes], expected: str) -> None:
    folder = DATA / "bad_bundles" / name
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(manifest)
    (folder / "expected.txt").write_text(expected + "\n")
    # a fault in the manifest is found before the models are looked at; carry them only where needed
    if name.startswith(("open_", "file_")):
        for file, content in contents.items():
            (folder / file).write_bytes(content)


if __name__ == "__main__":
    main()
