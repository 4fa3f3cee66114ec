"""The accelerator's own process: loads the library, opens the models, runs them until told no more.

Run as: python -P -m edge.accelerator.worker DESCRIPTOR, where the descriptor is a socket to a
`Session`. Every step is announced before it is taken, so that whoever waits knows at which one this
process crashed or hung.
"""

from __future__ import annotations

import ctypes
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BundleError
from ..manifest import ModelInfo
from ..runtime import Model, find_backend, load_delegate, open_model
from ..schema import read_dataclass
from .edgetpu import list_devices, read_version
from .wire import Array, Link

WARM_RUNS = 3


def main() -> None:
    """Serve one session."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold somebody's voice
    link = Link(int(sys.argv[1]))
    models: dict[str, Model] = {}
    delegate: Any = None
    try:
        task, _ = link.receive()
        try:
            delegate = _load(link, task)
            models = _open(link, task["models"], delegate)
            _serve(link, models)
        except (OSError, RuntimeError, ValueError, AttributeError) as exc:
            link.send({"failed": _line(exc)})
    except (EOFError, BrokenPipeError):
        pass  # the session is closed
    finally:
        models.clear()  # before the delegate they run on
        del delegate


def _load(link: Link, task: dict[str, Any]) -> Any:
    """Load the library and return the delegate it makes."""
    backend = find_backend()
    link.send({"runtime": f"{backend.name} {backend.version}", "step": "library"})
    library = ctypes.CDLL(task["library"])
    if task["edgetpu"]:
        link.send({"version": read_version(library), "step": "devices"})
        devices = list_devices(library)
        if not devices:
            raise OSError("it sees no device")
        link.send({"devices": devices})
    link.send({"step": "delegate"})
    return load_delegate(task["library"], task["options"])


def _open(link: Link, wanted: dict[str, Any], delegate: Any) -> dict[str, Model]:
    """Open every model, and run each so that the first utterance does not pay for loading it."""
    link.send({"step": "model"})
    models = {}
    for name, given in wanted.items():
        info = read_dataclass(ModelInfo, given["info"], BundleError)
        models[name] = open_model(Path(given["file"]), info, f"models.{name}", 1, delegate)
    link.send({"step": "run"})
    cold, warm = {}, {}
    for name, model in models.items():
        zeros = {key: np.zeros(t.shape, t.dtype) for key, t in model.inputs.items()}
        cold[name] = _run(model, zeros)[1]
        warm[name] = min(_run(model, zeros)[1] for _ in range(WARM_RUNS))
    link.send({"ready": True, "cold_ms": cold, "warm_ms": warm})
    return models


def _serve(link: Link, models: dict[str, Model]) -> None:
    while True:
        header, inputs = link.receive()
        outputs, milliseconds = _run(models[header["model"]], inputs)
        link.send({"ms": milliseconds}, outputs)


def _run(model: Model, inputs: dict[str, Array]) -> tuple[dict[str, Array], float]:
    """Return the outputs of one run and how long it took, milliseconds."""
    start = time.perf_counter()
    outputs = model.run(**inputs)
    return outputs, 1e3 * (time.perf_counter() - start)


def _line(exc: Exception) -> str:
    """Return what the interpreter said, without what `open_model` says about the bundle."""
    return " ".join(str(exc.__cause__ or exc).split())


if __name__ == "__main__":
    main()
