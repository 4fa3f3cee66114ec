"""Real people: whether the sex is right, how sure the bundle is of it, and what age it shows.

They are heard as a device hears them: speech found, windows averaged, over a whole file each. Only
the sex of a speaker is known, so only that is judged; the age is reported, because few readers of a
corpus are children or old.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.audio.file import read_recording
from edge.audio.logmel import LogMelSpec, features
from edge.audio.speech import find_speech
from edge.errors import ConfigError, NoSpeechError
from edge.manifest import TraitInfo
from edge.types import Int8, UInt8

from ..backends import Backend
from ..metrics import Bool, Index
from .bootstrap import mean_of, resamples
from .calibration import probability, real_value, reliability
from .observe import Windows, draw, hear
from .portraits import BANDS
from .reader import Reader

SOUNDS = (".flac", ".wav", ".mp3", ".ogg", ".opus")
LABEL_FILES = ("SPEAKERS.TXT", "speakers.csv")
SURE = 0.8  # a wrong sex with more confidence than this is a grave error
OLD = 65.0  # years


@dataclass(frozen=True, slots=True)
class RealVoices:
    """Recordings of labelled speakers."""

    windows: Windows
    speaker: Index  # (m,) of each recording, 0 .. n - 1
    names: tuple[str, ...]  # (n,)
    female: Bool  # (m,)
    source: tuple[str, ...]  # (m,) file names


@dataclass(frozen=True, slots=True)
class RealHeard:
    """What one backend makes of them."""

    figures: dict[str, Any]
    female: list[float]  # (m,) probability
    portraits: UInt8  # (m, 128, 128, 3)


def load_labels(folder: Path, labels: Path | None) -> dict[str, bool]:
    """Return speaker → is a woman.

    The file has one speaker per line: the name of the speaker's folder, then the sex, f or m,
    separated by a comma, a semicolon or a bar. Lines that start with ";" or "#" are skipped, so
    that LibriSpeech's SPEAKERS.TXT is one.

    Raises:
        ConfigError: there is no such file, or it names nobody.
    """
    candidates = [labels] if labels else [folder / name for name in LABEL_FILES]
    path = next((p for p in candidates if p.is_file()), None)
    if path is None:
        raise ConfigError(f"{candidates[-1]}: no labels there; give --labels FILE: speaker,f or m")
    found = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        cells = [c.strip() for c in line.replace("|", ",").replace(";", ",").split(",")]
        if not line.startswith((";", "#")) and len(cells) > 1 and cells[1].lower() in ("f", "m"):
            found[cells[0]] = cells[1].lower() == "f"
    if not found:
        raise ConfigError(f"{path}: names no speaker; each line is: speaker,f or speaker,m")
    return found


def load_voices(folder: Path, labels: Mapping[str, bool], spec: LogMelSpec) -> RealVoices:
    """Hear every sound file under `folder`/SPEAKER of a labelled speaker.

    Raises:
        ConfigError: there is none.
        InputError: a file cannot be read.
    """
    from tqdm import tqdm

    codes, speaker, source, names = [], [], [], []
    for name in tqdm(sorted(labels), desc="real voices", unit="speaker"):
        files = sorted(p for p in (folder / name).rglob("*") if p.suffix.lower() in SOUNDS)
        heard = [(file.name, found) for file in files if (found := _windows(file, spec))]
        if heard:
            names.append(name)
        for file_name, found in heard:
            codes.append(np.concatenate(found))
            speaker.append(len(names) - 1)
            source.append(file_name)
    if not codes:
        raise ConfigError(
            f"{folder}: no sound of a labelled speaker; it wants FOLDER/SPEAKER/*.flac"
        )
    owner = np.repeat(np.arange(len(codes)), [len(c) for c in codes])
    female = np.array([labels[names[s]] for s in speaker])
    windows = Windows(np.concatenate(codes), owner)
    return RealVoices(windows, np.array(speaker), tuple(names), female, tuple(source))


def judge(
    backend: Backend, voices: RealVoices, traits: Mapping[str, TraitInfo], reader: Reader
) -> RealHeard:
    """Return what one backend makes of the real voices; `n` of every figure counts speakers."""
    heard = hear(backend, voices.windows, lambda _: None)
    portraits = draw(backend, heard.embedding, lambda _: None)
    p = probability(traits["female"], heard.traits["female"])
    weights = resamples(len(voices.names))
    right = (p > 0.5) == voices.female
    shown = reader.read(portraits).years
    drawn_child = shown < BANDS[0]
    child = probability(traits["child"], heard.traits["child"]) > 0.5
    figures: dict[str, Any] = {
        "recordings": len(p),
        "speakers": len(voices.names),
        "sex_right": int(right.sum()),
        "sex_accuracy": mean_of(_by_speaker(right, voices), weights),
        "speakers_right": int((_by_speaker(np.where(voices.female, p, 1 - p), voices) > 0.5).sum()),
        "wrong_and_sure": int((~right & (np.maximum(p, 1 - p) > SURE)).sum()),
        "child_claimed": int(child.sum()),
        "child_drawn": int(drawn_child.sum()),
        "old_drawn": int((shown > OLD).sum()),
        "drawn_years": [float(v) for v in np.percentile(shown, [5, 50, 95])],
        "reliability": reliability(p, voices.female, voices.speaker, weights),
    }
    if "age_years" in traits:
        years = real_value(traits["age_years"], heard.traits["age_years"])
        figures["old_claimed"] = int((years > OLD).sum())
        figures["claimed_years"] = [float(v) for v in np.percentile(years, [5, 50, 95])]
    return RealHeard(figures, [float(v) for v in p], portraits)


def _by_speaker(values: Any, voices: RealVoices) -> Any:
    """Return the mean over each speaker's recordings, (n,)."""
    return np.bincount(voices.speaker, values) / np.bincount(voices.speaker)


def _windows(file: Path, spec: LogMelSpec) -> list[Int8]:
    """Return the windows of every utterance of a file, none when nobody speaks in it."""
    try:
        return [features(u.samples, spec) for u in find_speech(read_recording(file))]
    except NoSpeechError:
        return []
