"""Makes tests/data/torch_golden.npz, which tests hold Keras to where PyTorch is not installed.

Run: python tests/make_torch_golden.py SHARED (needs PyTorch and the [convert] extra; SHARED is the
folder of test assets, for the outputs of trained weights)
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

if __name__ == "__main__":
    from tests.torch_reference import golden, trained

    made = golden() | trained(Path(sys.argv[1]) / "data" / "weights")
    np.savez_compressed(ROOT / "tests" / "data" / "torch_golden.npz", **made)
