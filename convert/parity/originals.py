"""What the original framework computed, and how near the Keras network comes to it.

An original is an NPZ file: `ROLE.input` (n, ...), as a bundle's model takes it, `ROLE.output`
(n, ...), and, as far as wanted, `ROLE/LAYER` for layers of the Keras network, channels last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import InputError
from edge.types import Float32

from ..checkpoints.reading import read_tensors


@dataclass(frozen=True, slots=True)
class LayerDistance:
    """How far one layer lies from the original's, relative to the original's size."""

    layer: str
    relative: float  # ||ours - theirs|| / ||theirs||


def load_original(path: Path, role: str) -> dict[str, Float32]:
    """Return "input", "output" and layer name → array of one network.

    Raises:
        InputError: the file has nothing about this network.
    """
    arrays = read_tensors(path)
    found = {
        name[len(role) + 1 :]: np.asarray(array, np.float32)
        for name, array in arrays.items()
        if name.startswith((f"{role}.", f"{role}/"))
    }
    if not {"input", "output"} <= found.keys():
        raise InputError(f"{path}: has no {role}.input and {role}.output; write them with NumPy")
    return found


def distances(network: Any, original: Mapping[str, Float32]) -> list[LayerDistance]:
    """Compare a Keras network with its original, layers in the network's order, the output last."""
    import tensorflow as tf

    names = [layer.name for layer in network.layers if layer.name in original]
    tapped = tf.keras.Model(
        network.input, {**{n: network.get_layer(n).output for n in names}, "": _only(network)}
    )
    made = tapped(original["input"], training=False)
    rows = [LayerDistance(n, _relative(np.asarray(made[n]), original[n])) for n in names]
    rows.append(LayerDistance("output", _relative(np.asarray(made[""]), original["output"])))
    return rows


def _only(network: Any) -> Any:
    (output,) = network.output.values()
    return output


def _relative(ours: Float32, theirs: Float32) -> float:
    theirs = theirs.reshape(ours.shape).astype(np.float64)
    return float(np.linalg.norm(ours - theirs) / max(float(np.linalg.norm(theirs)), 1e-30))
