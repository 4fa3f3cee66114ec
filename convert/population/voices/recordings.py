"""Base voices that are recordings of people: the words that free programs for children say.

Each program's sounds in one language were spoken by one person, a word or a name per file. Several
words, a short gap between them, make an utterance as long as those of the speech engines. Words are
cut at their edges, so that nothing tells a long pause from a slow voice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from edge.errors import EarsightError

from .speech import SAMPLE_RATE, Float64, read_speech

SHARE = Path("/usr/share")  # where Debian's packages keep their sounds
FEWEST_FILES = 20  # fewer do not make a voice
SPOKEN_S = 5.5  # of words in an utterance
SHORTEST_WORD_S = 0.15
GAP_S = (0.06, 0.20)  # between two words
FADE_S = 0.01  # at both ends of a word: none starts with a click
LOUDNESS = 0.1  # root mean square of each word


@cache
def recorded_files(pattern: str) -> tuple[Path, ...]:
    """Return the files of one voice: those under `SHARE` that match a glob, sorted by name."""
    return tuple(sorted(SHARE.glob(pattern)))


def are_installed(pattern: str) -> bool:
    """Tell whether there are enough files to make a voice."""
    return len(recorded_files(pattern)) >= FEWEST_FILES


def write_utterance(pattern: str, rng: np.random.Generator, path: Path) -> None:
    """Write some words of one voice, drawn by `rng`, to a 16 kHz WAV file, whole or not at all.

    Raises:
        EarsightError: the files hold too few words.
    """
    import soundfile

    samples = joined(_words(recorded_files(pattern), rng), rng)
    part = path.with_suffix(".part")
    soundfile.write(part, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    part.replace(path)


def joined(
    words: Iterable[Float64], rng: np.random.Generator, fewest_s: float = SPOKEN_S
) -> Float64:
    """Return words at 16 kHz as one utterance of `SPOKEN_S`, equally loud, with gaps.

    Raises:
        EarsightError: the words last less than `fewest_s` altogether.
    """
    fade = np.linspace(0.0, 1.0, int(FADE_S * SAMPLE_RATE))
    parts: list[Float64] = []
    spoken = 0
    for word in words:
        if len(word) < SHORTEST_WORD_S * SAMPLE_RATE:
            continue
        level = np.clip(word * LOUDNESS / (np.sqrt(np.mean(word**2)) + 1e-9), -1.0, 1.0)
        level[: len(fade)] *= fade
        level[-len(fade) :] *= fade[::-1]
        parts += [level, np.zeros(int(rng.uniform(*GAP_S) * SAMPLE_RATE))]
        spoken += len(word)
        if spoken >= SPOKEN_S * SAMPLE_RATE:
            break
    if spoken < fewest_s * SAMPLE_RATE:
        raise EarsightError(f"only {spoken / SAMPLE_RATE:.1f} s of words, {fewest_s} are needed")
    return np.concatenate(parts)


def _words(files: Sequence[Path], rng: np.random.Generator) -> Iterable[Float64]:
    import soundfile

    for place in rng.permutation(len(files)):
        try:
            yield read_speech(files[place])
        except soundfile.LibsndfileError:
            continue  # one broken file of hundreds
