"""The portrait decoder: what a voice says about a face, drawn on one typical person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..embed.quantization import dequantize, quantize
from ..types import Float32, Portrait

if TYPE_CHECKING:
    from ..runtime import Runnable

CAPTION = "a guess, not an identification"
HONESTY = "sex, age and size from the voice; skin, hair and eyes are not predicted"


class PortraitDecoder:
    """The bundle's portrait decoder."""

    def __init__(self, model: Runnable) -> None:
        self._model = model

    def draw(self, embedding: Float32) -> Portrait:
        """Return the portrait for a unit embedding (d,)."""
        given = quantize(embedding[None], self._model.inputs["embedding"])
        drawn = self._model.run(embedding=given)["portrait"][0]
        real = dequantize(drawn, self._model.outputs["portrait"])  # 0..1, sRGB
        return Portrait(np.rint(np.clip(real, 0.0, 1.0) * 255.0).astype(np.uint8))
