"""What the Edge TPU compiler will make of models, before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.accelerator.compiled import is_compiled
from edge.bundle import MANIFEST, Bundle, load_bundle
from edge.errors import InputError

from .graph import read_graph
from .mapping import Prediction, predict
from .memory import Memory, estimate
from .operators import NEWEST_RUNTIME

# what is compiled of a bundle, the most used first: it gets memory before the others. Whatever else
# a bundle has, enrolment alone uses, and the CPU is quick enough for that.
ORDER = ("voice_encoder", "portrait_decoder", "face_encoder")


@dataclass(frozen=True, slots=True)
class Check:
    """What is expected of models that are compiled together."""

    predictions: tuple[Prediction, ...]
    memory: Memory

    @property
    def whole(self) -> bool:
        """Whether every operation of every model is expected on the Edge TPU."""
        return all(prediction.whole for prediction in self.predictions)


def check(models: Mapping[str, bytes], runtime: int = NEWEST_RUNTIME) -> Check:
    """Predict the mapping of models (name → .tflite) that are compiled together, in their order.

    Args:
        models: in the order in which they are given to the compiler.
        runtime: RuntimeVersion of the libedgetpu to compile for.

    Raises:
        InputError: one of them is no model, or is compiled already.
    """
    predictions = []
    for name, content in models.items():
        if is_compiled(content):
            raise InputError(f"{name}: is compiled already; give the file from before the compiler")
        try:
            graph = read_graph(name, content)
        except Exception as exc:  # the generated reader raises anything on bytes that are no model
            raise InputError(f"{name}: is not a .tflite model ({type(exc).__name__})") from exc
        predictions.append(predict(graph, runtime))
    return Check(tuple(predictions), estimate(predictions))


def read_models(path: Path) -> dict[str, bytes]:
    """Return the models of a bundle, in the order to compile them, or the one in a file.

    Raises:
        BundleError: a bundle that breaks the contract.
        InputError: a file that cannot be read.
    """
    if (path / MANIFEST).exists():
        return bundle_models(load_bundle(path))
    try:
        return {path.stem: path.read_bytes()}
    except OSError as exc:
        raise InputError(
            f"{path}: cannot be read ({exc.strerror}); give a .tflite file or a NAME.bundle"
        ) from exc


def bundle_models(bundle: Bundle) -> dict[str, bytes]:
    """Return model → its file for the CPU, in the order to compile them."""
    models = bundle.manifest.models
    files = {name: models[name].files["cpu"].file for name in ORDER if name in models}
    return {name: (bundle.path / file).read_bytes() for name, file in files.items()}
