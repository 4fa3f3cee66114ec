"""Feature codes of every clip, computed once with the device's own front-end.

Version 0 of a clip is clean and cut from its middle; the others are cut anywhere and augmented.
`edge.audio.logmel` is the only implementation there is: training sees what the device computes.
"""

from __future__ import annotations

import io
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from edge.audio.logmel import LogMelSpec, features
from edge.storage import write_private
from edge.types import Float32, Int8

from ..population.voices.augment import augment

BABBLE_VOICES = 24  # clips of the same shard that babble is mixed from


@dataclass(frozen=True, slots=True)
class VoiceFeatures:
    """Feature codes of clips."""

    codes: Int8  # (clips, versions, frames, mels)
    owners: tuple[str, ...]  # (clips,) person ids


def make_features(
    clips: Path, folder: Path, augmentations: int, spec: LogMelSpec, seed: int, workers: int
) -> None:
    """Compute the features of every shard of clips under `clips`; shards that exist are kept."""
    from tqdm import tqdm

    todo = [p for p in sorted(clips.glob("clips_*.npz")) if not (folder / p.name).exists()]
    if not todo:
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    with pool, tqdm(total=len(todo), desc="features", unit="shard") as bar:
        futures = [
            pool.submit(_make_shard, path, folder / path.name, augmentations, spec, seed)
            for path in todo
        ]
        try:
            for future in as_completed(futures):
                future.result()
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


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


def _make_shard(path: Path, out: Path, augmentations: int, spec: LogMelSpec, seed: int) -> None:
    with np.load(path) as shard:
        audio, owners = shard["audio"].astype(np.float32) / 32768.0, shard["person"]
    length = spec.window_samples
    codes = np.empty((len(audio), augmentations + 1, spec.frames, spec.mels), np.int8)
    number = int(path.stem.split("_")[-1])
    for i, clip in enumerate(audio):
        rng = np.random.default_rng([seed, 55, number, i])
        start = (len(clip) - length) // 2
        codes[i, 0] = clip_features(clip[start : start + length], spec)
        babble = audio[rng.integers(0, len(audio), min(BABBLE_VOICES, len(audio)))]
        for version in range(1, augmentations + 1):
            start = int(rng.integers(0, len(clip) - length + 1))
            noisy = augment(clip[start : start + length], rng, babble)
            codes[i, version] = clip_features(noisy, spec)
    buffer = io.BytesIO()
    np.savez(buffer, codes=codes, owners=owners)
    write_private(out, buffer.getvalue())
