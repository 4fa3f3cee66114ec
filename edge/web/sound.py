"""The level and the spectrogram of the live sound, made only while a browser watches."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import numpy as np

from ..audio.logmel import LogMelSpec, mel_weights
from ..audio.microphone import AudioBlock, AudioState
from ..live import Source
from ..sinks.jsonl import as_line
from ..types import Float32, UInt8
from .feed import Feed, Message

HOP = 320  # samples: 50 columns a second
WINDOW = 512  # samples, periodic Hann
COLUMNS = 5  # of a message: ten messages a second
FLOOR_DB = -100.0  # of code 0; code 255 is a sine of full scale


class SoundTap:
    """Turns sound into messages: level and `COLUMNS` columns of 64 mel bands, as the model's.

    Not the front-end itself, which works in blocks of a second.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._samples = np.zeros(0, np.float32)  # that wait for more
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
        self._window = (window / (window.sum() / 2)).astype(np.float32)
        self._bands = mel_weights(LogMelSpec(fft=WINDOW)).T.astype(np.float32)

    def feed(self, samples: Float32) -> None:
        """Take the next samples (n,), 16 kHz mono; costs nothing while nobody watches."""
        if not self._feed.wants_sound:
            self._samples = samples[:0]
            return
        self._samples = np.concatenate([self._samples, samples])
        while len(self._samples) >= WINDOW + HOP * (COLUMNS - 1):
            self._feed.broadcast(self._message(self._samples[: WINDOW + HOP * (COLUMNS - 1)]))
            self._samples = self._samples[HOP * COLUMNS :]

    def columns(self, samples: Float32) -> UInt8:
        """Return (n, 64) codes, one row for each hop, low bands first."""
        frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
        power = np.square(np.abs(np.fft.rfft(frames * self._window)))
        level = 10 * np.log10(np.maximum(power @ self._bands, 1e-12))
        codes: UInt8 = np.clip(255 * (1 - level / FLOOR_DB), 0, 255).astype(np.uint8)
        return codes

    def _message(self, samples: Float32) -> Message:
        mean = float(np.square(samples).mean())
        codes = base64.b64encode(self.columns(samples).tobytes()).decode()
        level = round(10 * np.log10(max(mean, 1e-12)), 1)
        return Message("sound", as_line({"level_dbfs": level, "columns": codes}))


class TappedSource:
    """A source whose sound also goes to the page."""

    def __init__(self, source: Source, tap: SoundTap) -> None:
        self._source = source
        self._tap = tap

    @property
    def level_dbfs(self) -> float:
        """RMS of the last block."""
        return self._source.level_dbfs

    def blocks(self) -> Iterator[AudioBlock | AudioState]:
        """Yield what the source yields."""
        for item in self._source.blocks():
            if isinstance(item, AudioBlock):
                self._tap.feed(item.samples)
            yield item

    def mute(self, on: bool) -> None:
        """Stop listening, or go on."""
        self._source.mute(on)

    def close(self) -> None:
        """End `blocks` soon."""
        self._source.close()
