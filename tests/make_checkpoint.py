"""Writes checkpoints with made-up weights in the published layouts, to try an import on.

Run: python tests/make_checkpoint.py shape-of-sound best.pth.tar
     python tests/make_checkpoint.py resnetse34l trunk.npz
     python tests/make_checkpoint.py speech2face-voice s2f.npz (592 MB; needs the [convert] extra)
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.torch_files import random_tensor, save_legacy, shape_of_sound_tensors  # noqa: E402


def speech2face_tensors() -> dict[str, np.ndarray]:
    """Return the tensors of Speech2Face's voice encoder under names of their own."""
    channels = (2, 64, 64, 128, 128, 128, 256, 512, 512, 512)
    found = {}
    for n, (given, made) in enumerate(pairwise(channels)):
        found[f"conv.{n}.weight"] = random_tensor(f"conv.{n}.weight", (made, given, 4, 4))
        found[f"conv.{n}.bias"] = np.zeros(made, np.float32)
        for part in ("weight", "bias", "running_mean", "running_var"):
            found[f"norm.{n}.{part}"] = random_tensor(f"norm.{n}.{part}", (made,))
    for n, shape in enumerate(((4096, 512 * 57), (4096, 4096))):
        found[f"linear.{n}.weight"] = random_tensor(f"linear.{n}.weight", shape)
        found[f"linear.{n}.bias"] = np.zeros(4096, np.float32)
    return found


def main(layout: str, out: Path) -> None:
    """Write one checkpoint."""
    if layout == "shape-of-sound":
        weights = {f"module.{name}": a for name, a in shape_of_sound_tensors().items()}
        state = {"match": {"state": []}}
        save_legacy(out, {"start_it": 1, "stage": 2, "state_dict": weights, "optimizer": state})
    elif layout == "resnetse34l":
        prefix = "V.model."
        tensors = shape_of_sound_tensors()
        np.savez(out, **{n.removeprefix(prefix): a for n, a in tensors.items() if prefix in n})
    elif layout == "speech2face-voice":
        np.savez(out, **speech2face_tensors())
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
