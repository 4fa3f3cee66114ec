"""Runs models. The only file that names an interpreter.

LiteRT comes first, then tflite-runtime, then TensorFlow's own interpreter. A candidate is chosen by
building and invoking a tiny model, not by importing it: tflite-runtime 2.14 imports under NumPy 2
and fails only when its Interpreter is constructed. `EARSIGHT_RUNTIME` (litert, tflite or
tensorflow) forces one.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .accelerator.compiled import EDGETPU_OPERATOR
from .errors import BundleError, ConfigError, RuntimeUnavailable
from .manifest import ModelInfo, TensorInfo
from .stderr import silenced

Array = npt.NDArray[Any]

CANDIDATES: Mapping[str, tuple[str, str]] = {
    # name → (module with Interpreter and OpResolverType, distribution)
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    "tflite": ("tflite_runtime.interpreter", "tflite-runtime"),
    "tensorflow": ("tensorflow.lite.python.interpreter", "tensorflow"),
}
PROBE = Path(__file__).parent / "probe.tflite"  # int8 (1, 4) → int8 (1, 2), 1 kB


@dataclass(frozen=True, slots=True)
class Backend:
    """An interpreter that was seen to work here."""

    name: str  # litert, tflite or tensorflow
    version: str
    module: Any


class Runnable(Protocol):
    """What a stage needs of a model, wherever it runs."""

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]

    def run(self, **inputs: Array) -> dict[str, Array]:
        """Run once; see `Model.run`."""


class Model:
    """One open model: raw arrays in and out by the manifest's tensor names.

    Not thread-safe: one instance belongs to one thread.
    """

    def __init__(self, interpreter: Any, info: ModelInfo, backend: Backend) -> None:
        self.inputs: Mapping[str, TensorInfo] = info.inputs
        self.outputs: Mapping[str, TensorInfo] = info.outputs
        self.backend = backend
        self._interpreter = interpreter
        self._index = {
            d["name"]: int(d["index"])
            for d in [*interpreter.get_input_details(), *interpreter.get_output_details()]
        }

    def run(self, **inputs: Array) -> dict[str, Array]:
        """Run once.

        Args:
            inputs: one array per input name, with exactly the shape and dtype of the manifest.

        Returns:
            A copy of every output, quantized as the model gives it.

        Raises:
            ValueError: names, shapes or dtypes differ from the manifest (a caller's bug).
        """
        if inputs.keys() != self.inputs.keys():
            raise ValueError(f"inputs are {sorted(self.inputs)}, got {sorted(inputs)}")
        for name, value in inputs.items():
            want = self.inputs[name]
            if value.shape != want.shape or value.dtype.name != want.dtype:
                raise ValueError(
                    f"{name} is {want.dtype} {want.shape}, got {value.dtype} {value.shape}"
                )
            self._interpreter.set_tensor(self._index[name], value)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(self._index[name]) for name in self.outputs}


def open_model(
    path: Path, info: ModelInfo, where: str, threads: int = 1, delegate: Any = None
) -> Model:
    """Open a model file and hold the interpreter to what the manifest says of it.

    Args:
        path: the .tflite file.
        info: its entry in the manifest.
        where: its path in the manifest, for messages ("models.voice_encoder").
        threads: CPU threads the interpreter may use.
        delegate: of `load_delegate`; must outlive the model.

    Raises:
        BundleError: the file is not what the manifest says, or needs a newer runtime.
        RuntimeUnavailable: no interpreter works here.
    """
    backend = find_backend()
    interpreter = _build(backend, path, threads, _needs(info, where), delegate)
    _compare(interpreter.get_input_details(), info.inputs, f"{where}.inputs")
    _compare(interpreter.get_output_details(), info.outputs, f"{where}.outputs")
    return Model(interpreter, info, backend)


def load_delegate(library: str, options: Mapping[str, str]) -> Any:
    """Return a delegate for `open_model`. A library may crash or hang here: not in the daemon.

    Raises:
        ValueError: the library makes none; libedgetpu's message is empty.
        OSError: it cannot be loaded.
        AttributeError: it is not a delegate's.
    """
    return find_backend().module.load_delegate(library, dict(options))


def find_backend() -> Backend:
    """Return the first interpreter that builds and invokes the probe model.

    Raises:
        RuntimeUnavailable: none does; says why each failed and what to install here.
        ConfigError: `EARSIGHT_RUNTIME` names none of them.
    """
    return _find_backend(os.environ.get("EARSIGHT_RUNTIME", ""))


@functools.cache
def _find_backend(forced: str) -> Backend:
    if forced and forced not in CANDIDATES:
        raise ConfigError(f"EARSIGHT_RUNTIME: '{forced}' is not one of {', '.join(CANDIDATES)}")
    reasons = []
    for name in [forced] if forced else CANDIDATES:
        found = _try(name)
        if isinstance(found, Backend):
            return found
        reasons.append(f"{CANDIDATES[name][1]}: {found}")
    raise RuntimeUnavailable(
        f"nothing here can run a model ({'; '.join(reasons)}); {install_advice()}"
    )


def install_advice() -> str:
    """Return the one line to run for this Python, architecture and system."""
    python, machine = sys.version_info[:2], platform.machine()
    if machine == "armv7l":
        if python >= (3, 12):
            return "on 32-bit ARM use Python 3.11: pip install 'tflite-runtime==2.14.0' 'numpy<2'"
        return "run: pip install 'tflite-runtime==2.14.0' 'numpy<2'"
    if sys.platform == "win32":
        return (
            "there is no runtime for native Windows: use WSL, then pip install 'earsight[device]'"
        )
    return "run: pip install 'earsight[device]'"


def _try(name: str) -> Backend | str:
    """Return a working backend, or in a few words why this one does not work."""
    module_name, distribution = CANDIDATES[name]
    try:
        with silenced(), contextlib.redirect_stderr(io.StringIO()):
            # NumPy prints a page about its ABI before the SystemError
            module = importlib.import_module(module_name)
            interpreter = module.Interpreter(model_path=str(PROBE), num_threads=1)
            interpreter.allocate_tensors()
            given = interpreter.get_input_details()[0]
            interpreter.set_tensor(given["index"], np.ones(given["shape"], given["dtype"]))
            interpreter.invoke()
            interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    except ModuleNotFoundError:
        return "not installed"
    except SystemError:
        return f"was built for NumPy 1 and this is NumPy {np.__version__}, pip install 'numpy<2'"
    except Exception as exc:  # whatever a half-broken wheel raises: the verdict is the same
        return (
            f"does not work here ({str(exc).splitlines()[0] if str(exc) else type(exc).__name__})"
        )
    from importlib.metadata import PackageNotFoundError, version

    try:
        return Backend(name, version(distribution), module)
    except PackageNotFoundError:
        return Backend(name, "unknown", module)


def _build(backend: Backend, path: Path, threads: int, needs: str, delegate: Any) -> Any:
    """Construct and allocate, a second time without XNNPACK when that refuses to prepare."""
    resolver = backend.module.OpResolverType
    delegates = [] if delegate is None else [delegate]
    fault: Exception = ValueError()
    for kind in (resolver.AUTO, resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES):
        try:
            with silenced():  # "INFO: Created TensorFlow Lite XNNPACK delegate"
                interpreter = backend.module.Interpreter(
                    model_path=str(path),
                    num_threads=threads,
                    experimental_op_resolver_type=kind,
                    experimental_delegates=delegates,
                )
                interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as exc:
            fault = exc
        else:
            return interpreter
    message = (str(fault) or type(fault).__name__).splitlines()[0]
    why = f"{backend.name} {backend.version} cannot run it ({message}); {needs}"
    if f"unresolved custom op: {EDGETPU_OPERATOR.decode()}" in message:
        why = "is compiled for the Edge TPU and no accelerator is in use; the CPU has its own file"
    raise BundleError(f"{path}: {why}") from fault


def _needs(info: ModelInfo, where: str) -> str:
    if info.min_runtime:
        return f"{where}.min_runtime says TFLite {info.min_runtime} or later is needed"
    return "re-create the bundle or install it again"


def _compare(details: Any, tensors: Mapping[str, TensorInfo], where: str) -> None:
    """Compare the interpreter's own tensors with the manifest's, field by field."""
    have = {d["name"]: d for d in details}
    if have.keys() != tensors.keys():
        raise BundleError(f"{where}: are {sorted(tensors)}, the model file has {sorted(have)}")
    for name, want in tensors.items():
        detail = have[name]
        scale, zero_point = detail["quantization"]
        found = {
            "shape": tuple(int(n) for n in detail["shape"]),
            "dtype": np.dtype(detail["dtype"]).name,
            "scale": float(np.float32(scale)),
            "zero_point": int(zero_point),
        }
        for key, value in asdict(replace(want, scale=float(np.float32(want.scale)))).items():
            if found[key] != value:
                raise BundleError(
                    f"{where}.{name}.{key}: is {value}, the model file has {found[key]}; "
                    "re-create the bundle or install it again"
                )
