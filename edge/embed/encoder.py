"""Encoders: a voice's features, or a face's pixels, to one unit vector of the shared space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..audio.logmel import INPUT_SCALE
from ..errors import BundleError
from ..types import AGE_RANGE, Float32, Int8, Traits, UInt8, VoicePrint
from .quantization import dequantize, quantize

if TYPE_CHECKING:
    from ..manifest import TraitInfo
    from ..runtime import Runnable


AGE_TRAITS = ("age_low", "age_years", "age_high")


class VoiceEncoder:
    """The bundle's voice encoder."""

    def __init__(self, model: Runnable, traits: Mapping[str, TraitInfo]) -> None:
        self._model = model
        self._traits = traits

    def encode(self, windows: Int8 | Float32) -> VoicePrint:
        """Encode the windows of one utterance and average them.

        Args:
            windows: what `frontend.encoder_input` returns, w >= 1: int8 codes (w, frames, mels) or
                real values (w, frames, bands, channels).

        Returns:
            The mean direction of the windows' unit embeddings, and the traits; those are averaged
            before the link function, where the encoder's errors are nearest to normal.
        """
        outputs = [self._run(window) for window in windows]
        mean = {name: float(np.mean([out[name] for out in outputs])) for name in self._traits}
        value = {name: _link(self._traits[name], y) for name, y in mean.items()}
        return VoicePrint(
            embedding=_mean_direction([out["embedding"][0] for out in outputs]),
            traits=_traits(value),
            windows=len(windows),
        )

    def _run(self, window: Int8 | Float32) -> dict[str, Float32]:
        """Return the real value of every output for one window."""
        real = window[..., None] * INPUT_SCALE if window.dtype == np.int8 else window
        given = quantize(real[None], self._model.inputs["features"])
        outputs = self._model.run(features=given)
        return {name: dequantize(out, self._model.outputs[name]) for name, out in outputs.items()}


class FaceEncoder:
    """The bundle's face encoder."""

    def __init__(self, model: Runnable) -> None:
        self._model = model

    def embed(self, images: UInt8) -> Float32:
        """Return the mean direction (d,) of the photos of one person.

        Args:
            images: (n, 112, 112, 3) uint8 sRGB, n >= 1, framed as `photo.load_face` does.
        """
        codes = quantize(images / 255.0, self._model.inputs["image"])
        embedding = self._model.outputs["embedding"]
        return _mean_direction(
            [dequantize(self._model.run(image=c[None])["embedding"], embedding)[0] for c in codes]
        )


def _link(trait: TraitInfo, standardised: float) -> float:
    """Return link⁻¹(mean + std × y)."""
    x = trait.mean + trait.std * standardised
    if trait.link == "identity":
        return x
    return math.exp(x) if trait.link == "exp" else 0.5 * (1.0 + math.tanh(x / 2.0))


def _traits(value: Mapping[str, float]) -> Traits | None:
    """Name what the encoder said, if anything; the age only if it estimates one."""
    if not value:
        return None
    told = (value["female"], value["child"], value["ln_f0"], value["ln_vtl"])
    if not all(name in value for name in AGE_TRAITS):
        return Traits(*told)
    # three outputs of one network may cross by a little
    low, median, high = sorted(float(np.clip(value[n], *AGE_RANGE)) for n in AGE_TRAITS)
    return Traits(*told, age_years=median, age_interval=(low, high))


def _mean_direction(vectors: list[Float32]) -> Float32:
    """Return the mean of the vectors' directions, (d,), unit length.

    Raises:
        BundleError: a model in floating point gave NaN or infinite values.
    """
    if not np.isfinite(vectors).all():
        raise BundleError("an encoder gives NaN or infinite values; convert its network again")
    return _unit(np.mean([_unit(vector) for vector in vectors], axis=0))


def _unit(vector: Float32) -> Float32:
    """Return the vector at length 1; the zero vector, which has no direction, stays zero."""
    length = float(np.linalg.norm(vector))
    return (vector / length if length > 0 else vector).astype(np.float32)
