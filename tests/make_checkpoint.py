"""Writes checkpoints with made-up weights in the published layouts, to try an import on.

Run: python tests/make_checkpoint.py shape-of-sound best.pth.tar
     python tests/make_checkpoint.py resnetse34l trunk.npz
     python tests/make_checkpoint.py speech2face-voice s2f.npz (592 MB)
     python tests/make_checkpoint.py speech2face-decoder decoder.npz (224 MB)

The first two need the [convert] extra.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.torch_files import (  # noqa: E402
    save_legacy,
    shape_of_sound_tensors,
    speech2face_decoder_tensors,
    speech2face_voice_tensors,
)


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
        np.savez(out, **speech2face_voice_tensors())
    elif layout == "speech2face-decoder":
        np.savez(out, **speech2face_decoder_tensors())
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
