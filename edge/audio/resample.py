"""Brings a stream of any rate to the 16 kHz of every later stage, band-limited."""

from __future__ import annotations

import numpy as np

from ..errors import RuntimeUnavailable
from ..types import Float32
from .file import RATE


class StreamResampler:
    """One stream from one rate to another.

    soxr's high quality: what lies above half the target rate is more than 100 dB down, the pass
    band reaches 0.91 of it, phase is linear. Chunks join without a seam; output comes late by the
    length of the filter, a few milliseconds, and `flush` gives the rest.
    """

    def __init__(self, rate_in: int, rate_out: int = RATE) -> None:
        self._stream = None
        if rate_in != rate_out:
            try:
                import soxr
            except (ImportError, OSError) as exc:
                raise RuntimeUnavailable(
                    f"a microphone at {rate_in} Hz needs soxr ({exc}); "
                    "run: pip install 'earsight[device]'"
                ) from exc
            self._stream = soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32")

    def feed(self, samples: Float32) -> Float32:
        """Take the next samples (n,) at the rate in; return those ready at the rate out, 0..m."""
        if self._stream is None:
            return samples
        ready: Float32 = self._stream.resample_chunk(samples)
        return ready

    def flush(self) -> Float32:
        """Return what is held back and begin anew: the next samples follow a gap.

        In all, n samples in have then given n × rate out / rate in, to within one.
        """
        if self._stream is None:
            return np.zeros(0, np.float32)
        rest: Float32 = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        self._stream.clear()
        return rest
