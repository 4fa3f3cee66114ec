"""What is given back to the system."""

from __future__ import annotations

import io
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import load_bundle
from edge.memory import MAPS, release_model_files
from edge.png import encode_png

ROOT = Path(__file__).parents[1]
TINY = ROOT / "tests/data/tiny.bundle"


def test_model_files_are_released_and_models_go_on() -> None:
    if not MAPS.exists():
        pytest.skip("needs /proc")
    bundle = load_bundle(TINY)
    model = bundle.open("voice_encoder")
    zeros = {name: np.zeros(info.shape, info.dtype) for name, info in model.inputs.items()}
    before = model.run(**zeros)
    assert release_model_files() >= 1
    after = model.run(**zeros)
    assert all((after[name] == before[name]).all() for name in before)


HOLES = """
import numpy as np
from edge.memory import spare_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

spare_memory()
del (array := [np.ones(1 << 21)])[0]  # 16 MB: glibc takes smaller ones from its heap from now on
before = resident()
large, small = [], []
for _ in range(40):
    large.append(np.ones(1 << 17))  # 1 MB each
    small.append(bytearray(1000))  # keeps the heap from shrinking
large.clear()
print(resident() - before)
"""


def test_freed_arrays_go_back_to_the_system_whatever_came_after_them() -> None:
    if not MAPS.exists() or "glibc" not in platform.libc_ver()[0]:
        pytest.skip("needs Linux with glibc")
    command = [sys.executable, "-c", HOLES]
    grown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert int(grown) < 4e6


@pytest.mark.parametrize("shape", [(128, 128, 3), (1, 1, 3), (3, 7, 3)])
def test_a_png_holds_the_pixels(shape: tuple[int, int, int]) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng([3]).integers(0, 256, shape).astype(np.uint8)
    with image.open(io.BytesIO(encode_png(pixels))) as found:
        found.verify()
    with image.open(io.BytesIO(encode_png(pixels))) as found:
        assert found.mode == "RGB"
        assert (np.asarray(found) == pixels).all()
