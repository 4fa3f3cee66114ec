"""Let the base voices speak: every later step starts from the WAV files written here."""

from __future__ import annotations

import os
import subprocess
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.errors import EarsightError, RuntimeUnavailable

from .base_voices import PROGRAMS, BaseVoice, available_voices
from .recordings import write_utterance
from .sentences import draw_text

TIMEOUT_S = 60.0
RECORDED = "recorded"  # sub-folder of the base voices for `RECORDED_VOICES`
SHORTEST_BYTES = 32_000  # one second at 16 kHz: less means that the engine choked on the text
ESPEAK_WORDS_PER_MINUTE = 165  # all the same, so that a person's tempo is heard
ESPEAK_ENGLISH_SHARE = 0.75
ESPEAK_PER_NATURAL = 3  # variants differ little from one another: each says a third as much
ENGLISH_ACCENTS = """
en-gb en-us en-gb-scotland en-gb-x-rp en-gb-x-gbclan en-gb-x-gbcwmd en-029 en-us-nyc
"""
OTHER_LANGUAGES = "es de fr-fr it pt-br pl fi cs ru ca"


@dataclass(frozen=True, slots=True)
class SpokenBase:
    """What `speak_base` did."""

    spoken: int  # utterances on disk, those of earlier runs included
    failures: tuple[str, ...]  # utterances that an engine refused, one line each
    missing: tuple[str, ...]  # voices that are not installed, one line each


def speak(
    voice: BaseVoice,
    text: str,
    path: Path,
    *,
    espeak_language: str = "en-gb",
) -> None:
    """Write `text` spoken by a `voice` that has an engine to a WAV file, whole or not at all.

    The sampling rate is the engine's own (16 or 22.05 kHz); `espeak_language` is for
    espeak-ng, whose variants speak any language.

    Raises:
        RuntimeUnavailable: the engine is not installed.
        EarsightError: the engine failed, took longer than `TIMEOUT_S` or said nothing.
    """
    part = path.with_suffix(f".{os.getpid()}.part")
    program = PROGRAMS[voice.engine]
    typed = None
    if voice.engine == "espeak":
        name = f"{espeak_language}+{voice.voice}"
        command = [program, "-v", name, "-s", str(ESPEAK_WORDS_PER_MINUTE), "-w", str(part), text]
    elif voice.engine == "flite":
        command = [program, "-voice", voice.voice, "-t", text, "-o", str(part)]
    else:
        command = [program, "-eval", f"({voice.voice})", "-F", "16000", "-o", str(part)]
        typed = text.encode(voice.encoding, "ignore")
    try:
        subprocess.run(command, input=typed, check=True, capture_output=True, timeout=TIMEOUT_S)
        if not part.is_file() or part.stat().st_size < SHORTEST_BYTES:
            raise EarsightError(f"{voice.id} said nothing for {text!r}")
        part.replace(path)
    except FileNotFoundError as error:
        raise RuntimeUnavailable(f"{program} is missing: apt install {voice.package}") from error
    except subprocess.SubprocessError as error:
        raise EarsightError(f"{voice.id} failed on {text!r}: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def speak_base(
    folder: Path,
    utterances_per_voice: int = 24,
    seed: int = 1,
    workers: int = 2,
    progress: bool = True,
    *,
    voices: Sequence[BaseVoice] | None = None,
) -> SpokenBase:
    """Let every available voice speak into `folder`, skipping what is already there.

    A natural English voice says twice `utterances_per_voice` (it has more texts), an espeak-ng
    variant a third of it: 24 give 1168 utterances, 2.4 hours of speech and about five CPU minutes.
    Each utterance depends on (seed, voice, number) alone.

    Args:
        folder: made when absent.
        utterances_per_voice: see above.
        seed: of all of them.
        workers: threads.
        progress: show a bar.
        voices: of whom; None: `BASE_VOICES`, and then there must be one.

    Raises:
        RuntimeUnavailable: no engine at all is installed.
    """
    from tqdm import tqdm

    installed = available_voices(voices)
    if voices is None and not installed.voices:
        raise RuntimeUnavailable("no text-to-speech engine found: apt install espeak-ng flite")
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [
        (voice, number)
        for voice in installed.voices
        for number in range(_utterances(voice, utterances_per_voice))
    ]
    todo = [(v, n) for v, n in jobs if not utterance_path(folder, v.id, n).exists()]

    def say(job: tuple[BaseVoice, int]) -> str | None:
        try:
            _speak_numbered(*job, folder, seed)
        except EarsightError as error:
            return str(error)
        return None

    # the engines are processes of their own, so threads keep the cores busy
    with ThreadPoolExecutor(workers) as pool:
        said: Iterable[str | None] = pool.map(say, todo)
        outcomes = list(
            tqdm(said, total=len(todo), desc="base voices", unit="utt", disable=not progress)
        )
    failures = tuple(outcome for outcome in outcomes if outcome is not None)
    return SpokenBase(
        spoken=len(jobs) - len(failures), failures=failures, missing=installed.missing
    )


def utterance_path(folder: Path, voice_id: str, number: int) -> Path:
    """Return where an utterance of a base voice lies."""
    return folder / f"{voice_id}__{number:03d}.wav"


def base_utterances(folder: Path) -> dict[str, list[Path]]:
    """Return the utterances found in `folder`: voice id to files, both in sorted order."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*__*.wav")):
        found.setdefault(path.name.rpartition("__")[0], []).append(path)
    return found


def _utterances(voice: BaseVoice, utterances_per_voice: int) -> int:
    if not voice.natural:
        return max(1, utterances_per_voice // ESPEAK_PER_NATURAL)
    return utterances_per_voice * (2 if voice.language == "en" else 1)


def _speak_numbered(voice: BaseVoice, number: int, folder: Path, seed: int) -> None:
    rng = np.random.default_rng([seed, zlib.crc32(voice.id.encode()), number])
    path = utterance_path(folder, voice.id, number)
    if voice.engine == "recorded":
        try:
            write_utterance(voice.voice, rng, path)
        except EarsightError as error:
            raise EarsightError(f"{voice.id}: {error}") from error
        return
    english = rng.random() < ESPEAK_ENGLISH_SHARE
    accents = (ENGLISH_ACCENTS if english else OTHER_LANGUAGES).split()
    accent = accents[int(rng.integers(len(accents)))]
    speak(
        voice,
        draw_text(voice.language or accent[:2], rng),
        path,
        espeak_language=accent,
    )
