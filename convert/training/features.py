"""Feature codes of every clip, computed once with the device's own front-end.

Version 0 of a clip is clean and cut from its middle; the others are cut anywhere and augmented.
`edge.audio.logmel` is the only implementation there is: training sees what the device computes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.audio.logmel import LogMelSpec, features
from edge.storage import write_private
from edge.types import Float32, Int8

from ..parallel import each
from ..population.voices.augment import augment
from ..population.voices.world import Int16

BABBLE_CLIPS = 64  # that babble is mixed from, spread over the whole population


@dataclass(frozen=True, slots=True)
class VoiceFeatures:
    """Feature codes of clips."""

    codes: Int8  # (clips, versions, frames, mels)
    owners: tuple[str, ...]  # (clips,) person ids


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of clips and what becomes of it."""

    clips: Path
    out: Path
    babble: Int16  # (m, samples)
    augmentations: int
    spec: LogMelSpec
    seed: int


def make_features(
    clips: Path, folder: Path, augmentations: int, spec: LogMelSpec, seed: int, workers: int
) -> None:
    """Compute the features of every shard of clips under `clips`; shards that exist are kept."""
    from tqdm import tqdm

    found = sorted(clips.glob("clips_*.npz"))
    missing = [path for path in found if not (folder / path.name).exists()]
    if not missing:
        return
    babble = _babble(found, seed)
    todo = [Shard(p, folder / p.name, babble, augmentations, spec, seed) for p in missing]
    done = len(found) - len(todo)
    with tqdm(total=len(found), initial=done, desc="features", unit="shard") as bar:
        for _ in each(_make_shard, todo, workers):
            bar.update()


def load_features(folder: Path) -> VoiceFeatures:
    """Read every shard that `make_features` wrote."""
    loaded = [np.load(path) for path in sorted(folder.glob("clips_*.npz"))]
    return VoiceFeatures(
        np.concatenate([shard["codes"] for shard in loaded]),
        tuple(str(o) for shard in loaded for o in shard["owners"]),
    )


def clip_features(samples: Float32, spec: LogMelSpec) -> Int8:
    """Return the codes (frames, mels) of one window's worth of samples, as the device does."""
    first: Int8 = features(samples, spec)[0]
    return first


def _babble(shards: Sequence[Path], seed: int) -> Int16:
    """Return clips (n, samples) from shards spread over the population.

    A shard is sorted by base utterance: babble from within it would speak with one voice.
    """
    rng = np.random.default_rng([seed, 56])
    chosen = [shards[i] for i in np.linspace(0, len(shards) - 1, min(16, len(shards))).astype(int)]
    per_shard = -(-BABBLE_CLIPS // len(chosen))
    parts = []
    for path in chosen:
        with np.load(path) as shard:
            audio = shard["audio"]
        parts.append(audio[rng.integers(0, len(audio), per_shard)])
    return np.concatenate(parts)


def _make_shard(shard: Shard) -> None:
    with np.load(shard.clips) as clips:
        audio, owners = clips["audio"].astype(np.float32) / 32768.0, clips["person"]
    spec, length = shard.spec, shard.spec.window_samples
    codes = np.empty((len(audio), shard.augmentations + 1, spec.frames, spec.mels), np.int8)
    number = int(shard.clips.stem.split("_")[-1])
    for i, clip in enumerate(audio):
        rng = np.random.default_rng([shard.seed, 55, number, i])
        start = (len(clip) - length) // 2
        codes[i, 0] = clip_features(clip[start : start + length], spec)
        for version in range(1, shard.augmentations + 1):
            start = int(rng.integers(0, len(clip) - length + 1))
            noisy = augment(clip[start : start + length], rng, shard.babble)
            codes[i, version] = clip_features(noisy, spec)
    buffer = io.BytesIO()
    np.savez(buffer, codes=codes, owners=owners)
    write_private(shard.out, buffer.getvalue())
