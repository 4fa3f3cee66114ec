"""Networks that come with their own architecture: Keras files, SavedModel folders, ONNX files.

A Keras file may hold Python code (Lambda layers) and is refused if it does. A SavedModel is a
TensorFlow program: it is loaded only when its graphs hold nothing that reads or writes files or
calls back into Python, and it runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edge.errors import InputError, RuntimeUnavailable

Kind = Literal["keras", "hdf5", "saved_model", "onnx"]

ROLES = {"voice": "voice_encoder", "face": "face_encoder", "portrait": "portrait_decoder"}
INPUTS = {"voice_encoder": "features", "face_encoder": "image", "portrait_decoder": "embedding"}
OUTPUTS = {
    "voice_encoder": "embedding", "face_encoder": "embedding", "portrait_decoder": "portrait",
}  # fmt: skip
ONNX2TF = "EARSIGHT_ONNX2TF"  # where its program lies, when not on the path
ONNX2TF_TIMEOUT_S = 1800
SAMPLES = "calibration_image_sample_data_20x128x128x3_float32.npy"
# operators that reach outside the graph; a network that only computes has none
_REACHING = ("PyFunc", "EagerPyFunc", "ReadFile", "WriteFile", "MatchingFiles", "LoadLibrary")


def kind_of(path: Path) -> Kind:
    """Tell what a file or folder is.

    Raises:
        InputError: none of the kinds.
    """
    if (path / "saved_model.pb").is_file():
        return "saved_model"
    suffix = path.suffix.lower()
    if not path.is_file() or suffix not in (".keras", ".h5", ".hdf5", ".onnx"):
        raise InputError(
            f"{path}: not a whole network; give a .keras, .h5 or .onnx file or a SavedModel folder"
        )
    return "keras" if suffix == ".keras" else "onnx" if suffix == ".onnx" else "hdf5"


def load_keras(path: Path, role: str) -> Any:
    """Return a Keras model whose one input and one output bear a bundle's names.

    Raises:
        InputError: it cannot be loaded, holds code, or has several inputs or outputs.
    """
    import tensorflow as tf

    _refuse_code(path)
    try:
        model = tf.keras.models.load_model(path, compile=False)
    except Exception as exc:  # Keras raises whatever its own parts raise
        line = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
        raise InputError(
            f"{path}: Keras {tf.keras.__version__} cannot load it ({line[:120]}); "
            "export it as a SavedModel folder"
        ) from exc
    outputs = list(model.output.values()) if isinstance(model.output, dict) else model.outputs
    if len(model.inputs) != 1 or len(outputs) != 1:
        raise InputError(
            f"{path}: has {len(model.inputs)} inputs and {len(outputs)} outputs, one each is needed"
        )
    given = tf.keras.layers.Input(model.inputs[0].shape[1:], name=INPUTS[role])
    made = model(given)
    value = next(iter(made.values())) if isinstance(made, dict) else made
    named = tf.keras.layers.Activation("linear", name=OUTPUTS[role])(value)
    return tf.keras.Model(given, {OUTPUTS[role]: named}, name=role)


def refuse_reaching(folder: Path) -> tuple[int, ...]:
    """Return the shape of a SavedModel's input, having read its graphs without loading them.

    Raises:
        InputError: they hold operators that reach outside them, or it has not one input.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        parsed = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    except Exception as exc:  # protobuf's own DecodeError differs between its implementations
        raise InputError(f"{folder}: its saved_model.pb is damaged; export it again") from exc
    for graph in parsed.meta_graphs:
        functions = graph.graph_def.library.function
        nodes = [*graph.graph_def.node, *(n for f in functions for n in f.node_def)]
        for node in nodes:
            if node.op in _REACHING:
                raise InputError(f"{folder}: holds the operator {node.op}, which is no network's")
    signatures = [g.signature_def.get("serving_default") for g in parsed.meta_graphs]
    inputs = [tensor for s in signatures if s is not None for tensor in s.inputs.values()]
    if len(inputs) != 1:
        raise InputError(f"{folder}: its serving signature has {len(inputs)} inputs, not one")
    return tuple(int(d.size) for d in inputs[0].tensor_shape.dim)


def onnx_to_saved_model(path: Path, folder: Path) -> None:
    """Convert an ONNX file to a SavedModel folder with onnx2tf, installed apart.

    Raises:
        RuntimeUnavailable: onnx2tf is not found; it needs a later TensorFlow than ours.
        InputError: onnx2tf cannot convert it.
    """
    program = os.environ.get(ONNX2TF) or shutil.which("onnx2tf")
    if program is None:
        raise RuntimeUnavailable(
            f"{path}: reading ONNX needs onnx2tf in an environment of its own; run: "
            "python3 -m venv onnx && onnx/bin/pip install 'onnx2tf==1.29.24' && "
            f"export {ONNX2TF}=$PWD/onnx/bin/onnx2tf"
        )
    # it would fetch this file of pictures from the network, and only to try its own result on
    np.save(folder / SAMPLES, np.random.default_rng(0).random((20, 128, 128, 3), np.float32))
    command = [program, "-i", str(path.resolve()), "-o", str(folder), "-n", "-osd"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=ONNX2TF_TIMEOUT_S, check=False,
            cwd=folder,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise InputError(f"{path}: onnx2tf could not be run ({exc})") from exc
    if done.returncode != 0 or not (folder / "saved_model.pb").is_file():
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise InputError(
            f"{path}: onnx2tf cannot convert it ({lines[-1][:160] if lines else 'no message'})"
        )


def _refuse_code(path: Path) -> None:
    """Refuse a Keras file that names a Lambda layer, in which Python code is stored."""
    try:
        if kind_of(path) == "keras":
            with zipfile.ZipFile(path) as archive:
                text = archive.read("config.json").decode()
        else:
            import h5py  # type: ignore[import-untyped]

            with h5py.File(path, "r") as file:
                found = file.attrs.get("model_config")
            if found is None:
                raise InputError(f"{path}: holds weights without a network; give its --layout")
            text = found.decode() if isinstance(found, bytes) else str(found)
        config = json.loads(text)
    except InputError:
        raise
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as exc:
        raise InputError(f"{path}: not a sound Keras file ({exc}); save it again") from exc
    if _names_lambda(config):
        raise InputError(f"{path}: holds a Lambda layer, which is Python code; replace the layer")


def _names_lambda(config: Any) -> bool:
    if isinstance(config, dict):
        return config.get("class_name") == "Lambda" or any(map(_names_lambda, config.values()))
    return isinstance(config, list) and any(map(_names_lambda, config))
