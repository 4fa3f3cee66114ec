"""Deterministic value noise in one and three dimensions: the grain of skin, hair and cloth."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .jit import kernel

PERIOD = 32  # cells after which the lattice repeats, along each axis


def noise_lattice() -> npt.NDArray[np.float32]:
    """Return the fixed random lattice (32, 32, 32) float32 in 0..1 that `noise3` interpolates."""
    return np.random.default_rng(7).random((PERIOD, PERIOD, PERIOD)).astype(np.float32)


@kernel
def smoothstep(low: float, high: float, x: float) -> float:
    """Rise smoothly from 0 at `low` to 1 at `high` (cubic Hermite); falls when high < low."""
    t = (x - low) / (high - low)
    if t < 0.0:
        t = 0.0
    if t > 1.0:
        t = 1.0
    return t * t * (3.0 - 2.0 * t)


@kernel
def hash01(i: int) -> float:
    """Return a pseudo-random number in 0..1 for an integer (multiply-xorshift hash)."""
    mask = np.uint32(0xFFFFFFFF)
    x = np.uint32(i) * np.uint32(2654435761) & mask
    x = (x ^ (x >> np.uint32(15))) * np.uint32(2246822519) & mask
    x = (x ^ (x >> np.uint32(13))) * np.uint32(3266489917) & mask
    x = x ^ (x >> np.uint32(16))
    return float(x & np.uint32(0xFFFFFF)) / 16777216.0


@kernel
def noise1(x: float, seed: int) -> float:
    """Return smooth noise in 0..1 along a line, one cell per unit of `x`."""
    cell = math.floor(x)
    t = x - cell
    t = t * t * (3.0 - 2.0 * t)
    k = int(cell) + seed * 7919 + 100000
    return hash01(k) * (1.0 - t) + hash01(k + 1) * t


@kernel
def noise3(lattice: npt.NDArray[np.float32], x: float, y: float, z: float) -> float:
    """Return smooth noise in 0..1 in space, one cell per unit, period 32."""
    ix = math.floor(x)
    iy = math.floor(y)
    iz = math.floor(z)
    tx = x - ix
    ty = y - iy
    tz = z - iz
    a = int(ix) & 31
    b = int(iy) & 31
    c = int(iz) & 31
    a1 = (a + 1) & 31
    b1 = (b + 1) & 31
    c1 = (c + 1) & 31
    tx = tx * tx * (3.0 - 2.0 * tx)
    ty = ty * ty * (3.0 - 2.0 * ty)
    tz = tz * tz * (3.0 - 2.0 * tz)
    v00 = lattice[a, b, c] + (lattice[a1, b, c] - lattice[a, b, c]) * tx
    v10 = lattice[a, b1, c] + (lattice[a1, b1, c] - lattice[a, b1, c]) * tx
    v01 = lattice[a, b, c1] + (lattice[a1, b, c1] - lattice[a, b, c1]) * tx
    v11 = lattice[a, b1, c1] + (lattice[a1, b1, c1] - lattice[a, b1, c1]) * tx
    near = v00 + (v10 - v00) * ty
    far = v01 + (v11 - v01) * ty
    return float(near + (far - near) * tz)
