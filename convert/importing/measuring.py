"""Float against int8 for one imported network."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.types import Float32

from ..metrics import psnr_db, to_pixels, unit


def figures_of(wanted: dict[str, Float32], found: dict[str, Float32]) -> dict[str, float]:
    """Return cosines of embeddings (n, d), or the PSNR of portraits, mean and worst."""
    if "portrait" in wanted:
        psnr = psnr_db(to_pixels(wanted["portrait"]), to_pixels(found["portrait"]))
        return {"psnr_db": float(psnr.mean()), "psnr_db_min": float(psnr.min())}
    cosine = (unit(wanted["embedding"]) * unit(found["embedding"])).sum(axis=1)
    return {"cosine": float(cosine.mean()), "cosine_min": float(cosine.min())}


def run_float(network: Any, inputs: Float32) -> dict[str, Float32]:
    """Run a Keras network on real inputs (n, ...), one by one as a device does."""
    rows = [network(inputs[i : i + 1], training=False) for i in range(len(inputs))]
    return {name: np.concatenate([np.asarray(row[name]) for row in rows]) for name in rows[0]}
