"""Power spectra of many frames at once, the same to the last bit on every processor.

A library FFT or a matrix product sums in an order that its author, the processor and the number of
rows choose, so its last bits differ between machines, and between one long call and many short
ones. Here the transform is spelled out as element-wise float32 additions, subtractions and
multiplications over arrays whose last axis is the frame. IEEE 754 leaves each of them exactly one
result, NumPy never fuses two of them, and no frame can touch another: frames computed together,
apart, or on another machine are equal. (NumPy's complex product may fuse, hence real arithmetic.)

It is also fast, because there is little work and none of it is per frame:

* a real transform of N points is a complex one of N / 2 (even samples real, odd imaginary) and one
  unravelling pass (Cooley, Lewis & Welch 1970);
* the complex one is a Stockham autosort FFT of radix 4 (Cochran et al. 1967): natural order in and
  out, contiguous runs that grow by four each stage, no gathers;
* every view and table is made once; a block is then about fifty ufunc calls into fixed buffers.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..types import Float32

_Step = tuple[np.ufunc, Float32, Float32, Float32]  # operation, left, right, out
_ZERO = np.zeros((), np.float32)


class PowerSpectrum:
    """A plan for the windowed power spectra of a fixed number of overlapping frames.

    Fill `samples`, call `run`, read `power`; both arrays are reused by the next run.

    Attributes:
        samples: ((frames - 1) * hop + len(window),) float32; frame `f` starts at `f * hop`.
        power: (fft / 2, frames) float32, four times the squared magnitude of bins 0 .. fft / 2 - 1;
            bin 0 is never computed and stays zero. Relative error about 1e-6 of a frame's peak.
    """

    def __init__(self, window: Float32, hop: int, fft: int, frames: int) -> None:
        """Make the plan.

        Args:
            window: (n,) float32, n even and at most `fft`.
            hop: samples from one frame to the next.
            fft: transform length, twice a power of four.
            frames: number of frames of one run.

        Raises:
            ValueError: if the lengths do not fit the algorithm.
        """
        half = fft // 2
        if 2 * 4 ** round(math.log(half, 4)) != fft or len(window) % 2 or len(window) > fft:
            raise ValueError(f"no plan for a window of {len(window)} and an FFT of {fft} samples")
        self.samples = np.zeros((frames - 1) * hop + len(window), np.float32)
        self.power = np.zeros((half, frames), np.float32)
        source, target, scratch = np.zeros((3, 2 * half * frames), np.float32)
        packed = source.reshape(4, 2, half // 4, frames).swapaxes(0, 1)
        self._steps = _window(self.samples, packed, window, hop)
        interleaved = 1  # transforms that a stage finds interleaved: 1, 4, 16 ...
        while interleaved < half:
            points, run = half // interleaved, interleaved * frames
            self._steps += _radix_4(source, target, scratch, points, run)
            source, target = target, source
            interleaved *= 4
        self._steps += _unravel(source, target, scratch, self.power)

    def run(self) -> None:
        """Compute `power` from `samples`."""
        for operation, left, right, out in self._steps:
            operation(left, right, out)


def _window(samples: Float32, packed: Float32, window: Float32, hop: int) -> list[_Step]:
    """Window frames into [even or odd sample, quarter, n, frame], zeros at the end."""
    quarter = packed.shape[2]
    pairs = len(window) // 2
    frames = np.lib.stride_tricks.sliding_window_view(samples, len(window))[::hop].T
    framed = frames.reshape(pairs, 2, -1).swapaxes(0, 1)
    weights = window.reshape(pairs, 2, 1).swapaxes(0, 1)
    steps: list[_Step] = []
    for index, start in enumerate(range(0, 4 * quarter, quarter)):
        part = slice(start, min(start + quarter, pairs))
        count = max(0, part.stop - part.start)
        target, rest = packed[:, index, :count], packed[:, index, count:]
        steps.append((np.multiply, framed[:, part], weights[:, part], target))
        steps.append((np.multiply, rest, _ZERO, rest))  # an earlier run left something there
    return [step for step in steps if step[-1].size]


def _turns(fraction: npt.NDArray[np.float64]) -> tuple[Float32, Float32]:
    """Return cosine and sine of fractions of a turn, exact at quarter turns."""
    angle = 2 * np.pi * fraction
    cosine, sine = np.round(np.cos(angle), 15), np.round(np.sin(angle), 15)
    return cosine.astype(np.float32), sine.astype(np.float32)


def _radix_4(x: Float32, y: Float32, scratch: Float32, points: int, run: int) -> list[_Step]:
    """One Stockham stage from `x` to `y`; `x` and `scratch` are overwritten.

    Output q of sample n is the sum over p of x[n + p * points / 4] * (-i)^(p q), times the twiddle
    exp(-2 pi i n q / points). A stage finds its input as [p, real or imaginary, n, run], which
    keeps most operands in one piece; the last leaves [real or imaginary, bin, run].
    """
    quarter = points // 4
    inputs = x.reshape(4, 2, quarter, run)
    sums, differences = scratch.reshape(2, 2, 2, quarter, run)
    if quarter > 1:
        outputs = y.reshape(4, 2, quarter // 4, 4, run).transpose(3, 1, 0, 2, 4)
        waiting = x[: 6 * quarter * run].reshape(3, 2, quarter, run)  # outputs 1, 2, 3 untwiddled
        parts = waiting.reshape(6, quarter, run)
        one_and_three, three_and_one = parts[::5], parts[4:0:-3]
    else:
        outputs = y.reshape(2, 4, 1, 1, run).swapaxes(0, 1)
        waiting = outputs[1:, :, 0]
        parts = y.reshape(8, 1, run)
        one_and_three, three_and_one = parts[1::6], parts[3:6:2]
    # Output 1 is d0 - i d1 and output 3 is d0 + i d1: adding the swapped d1 gives the real part of
    # one and the imaginary part of the other.
    first, swapped = differences[0], differences[1, ::-1]
    steps: list[_Step] = [
        (np.add, inputs[:2], inputs[2:], sums),
        (np.subtract, inputs[:2], inputs[2:], differences),
        (np.add, *sums.reshape(2, *outputs.shape[1:]), outputs[0]),
        (np.subtract, sums[0], sums[1], waiting[1]),
        (np.add, first, swapped, one_and_three),
        (np.subtract, first, swapped, three_and_one),
    ]
    if quarter > 1:
        cosine, sine = _turns(np.arange(1, 4)[:, None] * np.arange(quarter) / points)
        signed = np.stack([sine, -sine], axis=1)[..., None]
        rotated = scratch[: waiting.size].reshape(waiting.shape)
        apart = (3, *outputs.shape[1:])
        steps += [
            (np.multiply, waiting[:, ::-1], signed, rotated),
            (np.multiply, waiting, cosine[:, None, :, None], waiting),
            (np.add, waiting.reshape(apart), rotated.reshape(apart), outputs[1:]),
        ]
    return steps


def _unravel(x: Float32, y: Float32, scratch: Float32, power: Float32) -> list[_Step]:
    """Turn the half-length transform in `x` into the power of the real one.

    With Z the transform, Z' its mirror Z[-k] and w = exp(-2 pi i k / fft), twice the spectrum at k
    is (Z + conj Z') + w (Z - conj Z') / i, and at fft / 2 - k the conjugate of their difference.
    """
    half, frames = power.shape
    count = half // 2
    bins, mirror = slice(1, count + 1), slice(half - 1, count - 1, -1)
    transform = x.reshape(2, half, frames)
    parts = scratch.reshape(4, count, frames)  # re Z + re Z', im Z + im Z', re Z - re Z', ...
    cosine, sine = _turns(np.arange(1, count + 1)[:, None] / (2 * half))
    even, odd = parts[::3], parts[1:3]
    turned, swapped = y.reshape(2, 2, count, frames)
    both = x.reshape(2, 2, count, frames)  # sum or difference; real or imaginary part
    return [
        (np.add, transform[:, bins], transform[:, mirror], parts[:2]),
        (np.subtract, transform[:, bins], transform[:, mirror], parts[2:]),
        (np.multiply, odd, np.stack([cosine, -cosine]), turned),
        (np.multiply, odd[::-1], sine, swapped),
        (np.subtract, turned, swapped, turned),
        (np.add, even, turned, both[0]),
        (np.subtract, even, turned, both[1]),
        (np.multiply, both, both, both),
        (np.add, both[0, 0], both[0, 1], power[bins]),
        (np.add, both[1, 0], both[1, 1], power[mirror]),
    ]
