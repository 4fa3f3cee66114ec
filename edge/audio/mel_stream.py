"""Mel energies of a stream of sound, fed in chunks of any size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..types import Float32
from .mel import MelBank
from .spectrum import PowerSpectrum

BLOCK = 96  # frames computed at once: 0.96 s; more is hardly faster and wastes more in `flush`
_LOUDEST = 1e12  # of a sample; any sample format fits, and no energy overflows


class MelStream:
    """Streaming mel energies: feed sound in chunks of any size, get frames as blocks complete.

    Frame `f` covers samples `f * hop` to `f * hop + len(window)`. Frames come in blocks of 96;
    `flush` gives the rest. However the sound is cut, the frames together are the same.
    """

    def __init__(
        self, window: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], hop: int, fft: int
    ) -> None:
        """Plan for a window (n,) and mel filters (mels, fft / 2 + 1).

        The first and the last bin must have no weight, as `PowerSpectrum` does not give them.
        """
        self._hop, self._window = hop, len(window)
        self._mels = len(weights)
        self._spectrum = PowerSpectrum(window.astype(np.float32), hop, fft, BLOCK)
        # the power spectrum is four times too large and has no last bin (the mel weight is 0)
        self._mel = MelBank(weights[:, :-1] / 4, BLOCK)
        self._filled = 0  # samples waiting in the spectrum's buffer

    def reset(self) -> None:
        """Forget every sample."""
        self._filled = 0

    def feed(self, samples: Float32) -> Float32:
        """Take the next samples and return the energies that became ready.

        Args:
            samples: (n,) float32, any level, n of any size.

        Returns:
            (m, mels) float32 linear energies, m a multiple of 96, often 0.

        Raises:
            InputError: if a sample is not finite or absurdly large; the front-end is then reset.
        """
        samples = np.asarray(samples, np.float32)
        if samples.ndim != 1:
            raise InputError(f"sound must be mono samples, not an array of shape {samples.shape}")
        waiting = self._spectrum.samples
        blocks = []
        taken = 0
        while taken < len(samples):
            count = min(len(samples) - taken, len(waiting) - self._filled)
            waiting[self._filled : self._filled + count] = samples[taken : taken + count]
            self._filled += count
            taken += count
            if self._filled == len(waiting):
                blocks.append(self._run())
                self._filled -= BLOCK * self._hop
                waiting[: self._filled] = waiting[BLOCK * self._hop :]
        return np.concatenate(blocks) if blocks else np.zeros((0, self._mels), np.float32)

    def flush(self) -> Float32:
        """Return the energies of the frames still held back, (m, mels) with m < 96, and reset.

        Samples after the last whole frame are dropped.

        Raises:
            InputError: if a sample is not finite or absurdly large; the front-end is then reset.
        """
        count = max(0, (self._filled - self._window) // self._hop + 1)
        self._spectrum.samples[self._filled :] = 0.0
        energies = self._run()[:count]
        self.reset()
        return energies

    def _run(self) -> Float32:
        """Return the (96, mels) energies of the full buffer."""
        samples = self._spectrum.samples
        if not (samples.min() >= -_LOUDEST and samples.max() <= _LOUDEST):  # NaN fails both
            self.reset()
            raise InputError("sound holds NaN, infinite or absurd samples; check the recording")
        self._spectrum.run()
        return self._mel.energies(self._spectrum.power)
