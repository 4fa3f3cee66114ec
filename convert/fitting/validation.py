"""How good the encoders are on people held out, and which were best so far (section 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.audio.instance_mel import InstanceMelSpec
from edge.types import Float32

from ..datasets.item import Item
from ..protocols.lists import ListFile, names_of
from ..protocols.measure import measure
from ..protocols.vectors import vectors_of
from .crops import read_clip, read_picture
from .mel_graph import instance_mel
from .people import Person

if TYPE_CHECKING:
    from .shape_of_sound import Networks

BATCH = 32
CLIPS = 10  # voices of each person held out that a drawn list asks


class Best:
    """Keeps the encoders that matched the validation list best."""

    def __init__(
        self,
        networks: Networks,
        folder: Path,
        look: Callable[[Networks], float] | None,
        every: int,
    ) -> None:
        import tensorflow as tf

        self._networks, self._look, self._every = networks, look, every
        self._score = tf.Variable(0.0, dtype=tf.float32)
        self._checkpoint = tf.train.Checkpoint(
            voice=networks.voice, face=networks.face, score=self._score
        )
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=1)
        if self._manager.latest_checkpoint:
            reader = tf.train.load_checkpoint(self._manager.latest_checkpoint)
            self._score.assign(reader.get_tensor("score/.ATTRIBUTES/VARIABLE_VALUE"))

    def after(self, done: int) -> str | None:
        """Look when it is time; returns what was seen."""
        if self._look is None or done % self._every:
            return None
        seen = self._look(self._networks)
        best = seen > float(self._score.numpy())
        if best:
            self._score.assign(seen)
            self._manager.save()
        return f"step {done}: 1:2 voice→face {seen:.3f}{', best so far' if best else ''}"

    def restore(self) -> None:
        """Bring the best encoders back, if any were kept."""
        if self._manager.latest_checkpoint:
            self._checkpoint.restore(self._manager.latest_checkpoint).expect_partial()


def look_at(listed: ListFile, item_of: Callable[[str], Item]) -> Callable[[Networks], float] | None:
    """Return what measures 1:2 matching over a list; None when none of its files is there.

    Raises:
        InputError: the list is damaged.
    """
    items = [item_of(name) for name in dict.fromkeys(names_of(listed))]
    there = [item for item in items if item.path.is_file()]
    if not there:
        return None

    def look(networks: Networks) -> float:
        values = np.concatenate([*_embed(networks, there)])
        vectors = vectors_of([item.id for item in _by_kind(there)], values)
        return measure(listed, vectors, {}, quiet=True).value

    return look


def draw_list(people: Sequence[Person], path: Path, seed: int) -> None:
    """Write a list like match_v2f_2_val.txt for people held out: ten voices each, U."""
    rng = np.random.default_rng([seed, 3])
    lines = []
    for index, person in enumerate(people):
        for voice in person.voices[:CLIPS]:
            other = people[(index + 1 + int(rng.integers(len(people) - 1))) % len(people)]
            faces = [p.faces[rng.integers(len(p.faces))].id for p in (person, other)]
            lines.append(f"{voice.id} {faces[0]} {faces[1]}\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8")


def _by_kind(items: Sequence[Item]) -> list[Item]:
    return sorted(items, key=lambda item: item.kind != "voice")


def _embed(networks: Networks, items: Sequence[Item]) -> Iterator[Float32]:
    """Yield embeddings (n, d) of voices, then of faces."""
    import tensorflow as tf

    spec = InstanceMelSpec()
    for kind in ("voice", "face"):
        chosen = iter([item.path for item in items if item.kind == kind])
        while paths := list(islice(chosen, BATCH)):
            if kind == "voice":
                clips = tf.constant(np.stack([read_clip(path) for path in paths]))
                made: Any = networks.voice(instance_mel(clips, spec), training=False)
            else:
                made = networks.face(np.stack([read_picture(p) for p in paths]), training=False)
            yield made["embedding"].numpy()
