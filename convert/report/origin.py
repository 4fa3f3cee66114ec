"""Whether a bundle and a work folder belong together."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edge.audio.logmel import LogMelSpec
from edge.bundle import Bundle
from edge.errors import ConfigError

from ..build import MODELS


def check_origin(work: Path, bundle: Bundle) -> None:
    """Refuse a work folder that the bundle was not built in: its split would be another one.

    Raises:
        ConfigError: says which model differs, or that the bundle lacks one.
    """
    for name in MODELS:
        info = bundle.manifest.models.get(name)
        if info is None:
            raise ConfigError(f"{bundle.path}: has no {name}; a report needs {', '.join(MODELS)}")
        path = work / "models" / f"{name}.tflite"
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as exc:
            raise ConfigError(
                f"{path}: not there; give --work, the folder that {bundle.path.name} was built in"
            ) from exc
        if digest != info.files["cpu"].sha256:
            raise ConfigError(
                f"{path}: is not the {name} of {bundle.path.name}; give the work folder that the "
                "bundle was built in, or pack it again"
            )


def front_end(bundle: Bundle) -> LogMelSpec:
    """Return the features that the bundle's voice encoder was trained on.

    Raises:
        ConfigError: it was not built here, but imported with a front-end of its own.
    """
    spec = bundle.manifest.frontend.spec
    if not isinstance(spec, LogMelSpec):
        raise ConfigError(
            f"{bundle.path}: imported, with the front-end {type(spec).__name__}; "
            "a report is of a bundle that `earsight-convert build` made"
        )
    return spec
