"""Render the clips of a whole population, in shards that survive an interruption.

Analysing an utterance costs more than rendering a clip from it, so the clips are grouped by the
base utterance they start from and each utterance is analysed once per shard.
"""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from convert.parallel import each
from edge.errors import StorageError

from ..law import Person
from .character import VoiceCharacter, draw_character
from .pace import heard_base
from .resampled import play
from .speech import SAMPLE_RATE, read_speech
from .tts import RECORDED, base_utterances
from .vocal_tract import MeasuredVoice
from .world import CLIP_SAMPLES, Int16, analyse, reshape

SHARD_CLIPS = 128  # 13 MB; about half a minute of one core
PLAN_NAME = "plan.json"
CLIP_KEY, UTTERANCE_KEY = 11, 12  # keep the draws of the two apart


@dataclass(frozen=True, slots=True)
class ClipTask:
    """One clip to render."""

    utterance: Path
    person: Person
    character: VoiceCharacter
    number: int  # of the clip among the person's


@dataclass(frozen=True, slots=True)
class ShardTask:
    """The clips that one file will hold; those of one utterance follow one another."""

    path: Path
    clips: tuple[ClipTask, ...]
    seed: int


def render_clips(
    people: Sequence[Person],
    base_folder: Path,
    clips_per_person: int,
    out_folder: Path,
    seed: int = 1,
    workers: int = 2,
    *,
    allowed: Callable[[Person], Sequence[MeasuredVoice]] | None = None,
    progress: bool = True,
) -> int:
    """Render `clips_per_person` clips of each person and return how many there are.

    Writes `clips_0000.npz`, ... with `audio` int16 (n, 51200) at 16 kHz and `person` (n,) str ids.
    Shards already in `out_folder` are kept. A clip depends on (seed, person, number) and on the
    base utterances, not on the other people. The rare utterance with too little speech gives none.

    Args:
        people: whom to render; "face_only" people have no voice and are left out.
        base_folder: utterances written by `speak_base`; those of recorded people lie in its
            sub-folder `RECORDED`.
        clips_per_person: of 3.2 s each.
        out_folder: made when absent.
        seed: of everything that differs between clips.
        workers: processes.
        allowed: base voices a person may start from; None means all plausible ones in
            `base_folder`.
        progress: show a bar with the rate.

    Raises:
        StorageError: `out_folder` holds clips made from something else.
    """
    if allowed is None:
        voices = heard_base(base_folder, workers, progress)

        def allowed(person: Person) -> Sequence[MeasuredVoice]:
            return voices

    shards = _plan(people, base_folder, clips_per_person, out_folder, seed, allowed)
    out_folder.mkdir(parents=True, exist_ok=True)
    _check_plan(out_folder, shards, seed)
    todo = [shard for shard in shards if not shard.path.exists()]
    with _Meter(sum(len(shard.clips) for shard in todo), show=progress) as meter:
        for rendered in each(render_shard, todo, workers):
            meter.add(rendered)
    return sum(len(ids) for _, ids in _shards(out_folder))


def load_clips(folder: Path) -> tuple[Int16, npt.NDArray[np.str_]]:
    """Return all clips of a folder: audio int16 (n, 51200) at 16 kHz and person ids (n,).

    Raises:
        StorageError: there are none.
    """
    shards = list(_shards(folder))
    if not shards:
        raise StorageError(f"{folder} holds no clips: render them first")
    ids = np.concatenate([ids for _, ids in shards])
    audio = np.empty((len(ids), CLIP_SAMPLES), np.int16)
    row = 0
    for path, shard_ids in shards:
        with np.load(path) as shard:
            audio[row : row + len(shard_ids)] = shard["audio"]
        row += len(shard_ids)
    return audio, ids


def render_shard(shard: ShardTask) -> int:
    """Render and write one shard; return its number of clips."""
    audio: list[Int16] = []
    ids: list[str] = []
    utterance = None
    for clip in shard.clips:
        if clip.utterance != utterance:
            utterance, analysis = clip.utterance, None
            speech = read_speech(utterance)
        rng = np.random.default_rng([shard.seed, CLIP_KEY, clip.person.seed, clip.number])
        if clip.person.resampled:
            samples = play(speech, clip.character.stretch, rng)
        else:
            if analysis is None:
                name_key = zlib.crc32(utterance.name.encode())
                place = np.random.default_rng([shard.seed, UTTERANCE_KEY, name_key])
                analysis = analyse(speech, place)
            samples = reshape(analysis, clip.person, clip.character, rng)
        if samples is not None:
            audio.append(samples)
            ids.append(clip.person.id)
    part = shard.path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(
            file,
            audio=np.array(audio, np.int16).reshape(-1, CLIP_SAMPLES),
            person=np.array(ids, dtype=np.str_),
        )
    part.replace(shard.path)
    return len(shard.clips)


def _plan(
    people: Sequence[Person],
    base_folder: Path,
    clips_per_person: int,
    out_folder: Path,
    seed: int,
    allowed: Callable[[Person], Sequence[MeasuredVoice]],
) -> list[ShardTask]:
    utterances = {**base_utterances(base_folder), **base_utterances(base_folder / RECORDED)}
    clips: list[ClipTask] = []
    for person in people:
        if person.kind == "face_only":
            continue
        character = draw_character(person, [v for v in allowed(person) if v.id in utterances])
        files = utterances[character.base]
        # no utterance twice for one person as long as there are enough
        order = np.random.default_rng([seed, CLIP_KEY, person.seed]).permutation(len(files))
        clips += [
            ClipTask(files[order[number % len(files)]], person, character, number)
            for number in range(clips_per_person)
        ]
    clips.sort(key=lambda clip: clip.utterance.name)
    return [
        ShardTask(
            out_folder / f"clips_{start // SHARD_CLIPS:04d}.npz",
            tuple(clips[start : start + SHARD_CLIPS]),
            seed,
        )
        for start in range(0, len(clips), SHARD_CLIPS)
    ]


def _check_plan(folder: Path, shards: Sequence[ShardTask], seed: int) -> None:
    """Refuse to mix the shards of two plans in one folder."""
    content = [
        (clip.utterance.name, clip.person.as_json(), clip.number)
        for shard in shards
        for clip in shard.clips
    ]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    plan = {"seed": seed, "clips": len(content), "sha256": digest}
    path = folder / PLAN_NAME
    if path.exists() and json.loads(path.read_text()) != plan:
        raise StorageError(f"{folder} holds clips of another population or seed: empty it first")
    path.write_text(json.dumps(plan))


def _shards(folder: Path) -> Iterator[tuple[Path, npt.NDArray[np.str_]]]:
    for path in sorted(folder.glob("clips_*.npz")):
        with np.load(path) as shard:
            yield path, shard["person"]


class _Meter:
    """A progress bar over clips that also says how much faster than real time it goes."""

    def __init__(self, total: int, *, show: bool) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=total, desc="clips", unit="clip", disable=not show)
        self._start = time.monotonic()
        self._clips = 0

    def __enter__(self) -> _Meter:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def add(self, clips: int) -> None:
        self._clips += clips
        speech_s = self._clips * CLIP_SAMPLES / SAMPLE_RATE
        rate = speech_s / (time.monotonic() - self._start)
        self._bar.set_postfix_str(f"{rate:.0f} x real time")
        self._bar.update(clips)
