"""Compiled files of a bundle, and the record of how they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import BundleError
from .delegate import EDGETPU

if TYPE_CHECKING:
    from ..manifest import Manifest

EDGETPU_OPERATOR = b"edgetpu-custom-op"  # libedgetpu, tflite/public/edgetpu.h, kCustomOp


def is_compiled(content: bytes) -> bool:
    """Tell whether a .tflite file went through the Edge TPU compiler."""
    return EDGETPU_OPERATOR in content


def check_compiled(manifest: Manifest) -> None:
    """Hold what a manifest says of an accelerator's files to the files it was made from.

    Raises:
        BundleError: names the field.
    """
    for name, model in manifest.models.items():
        for target in model.files.keys() - {"cpu"}:
            where, made = f"models.{name}.files.{target}", manifest.compiled.get(target)
            if made is None or name not in made.order:
                raise BundleError(f"{where}: compiled.{target} does not say how it was made")
            if made.sources.get(name) != model.files["cpu"].sha256:
                raise BundleError(
                    f"{where}: compiled from another file than models.{name}.files.cpu; "
                    "run: earsight-convert tpu compile"
                )
    for target, made in manifest.compiled.items():
        for name in made.order:
            if name not in manifest.models or target not in manifest.models[name].files:
                raise BundleError(f"compiled.{target}.order: {name} has no file for {target}")


def check_content(where: str, content: bytes) -> None:
    """Check that a file for the Edge TPU, and no other file of a model, is compiled.

    Args:
        where: its path in the manifest, "models.voice_encoder.files.cpu".
        content: of the file.

    Raises:
        BundleError: names the field.
    """
    if where.startswith("models.") and is_compiled(content) != where.endswith(f".{EDGETPU}"):
        how = "is compiled for the Edge TPU" if is_compiled(content) else "is not compiled"
        raise BundleError(f"{where}.file: {how}; run: earsight-convert tpu compile")
