"""Trains both encoders into one space: the face encoder on traits first, then both together."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from edge.audio.logmel import LogMelSpec
from edge.types import Float32

from ..metrics import matching_1_2
from ..networks.face import face_encoder
from ..networks.voice import voice_encoder
from ..recipe import TrainingRecipe
from . import losses
from .batches import centre_crop, face_batch, prefetch, voice_batch
from .dataset import Dataset, Index, Labels

DIM = 128
CHECK_EVERY = 100  # steps between looks at the validation split
DRAWS = 4  # of a clip and a photo each, per look
SAVE_EVERY = 100


class Encoders:
    """Both encoders and everything that is trained with them; checkpointed as one."""

    def __init__(self, spec: LogMelSpec, identities: int, recipe: TrainingRecipe) -> None:
        import tensorflow as tf

        self.recipe = recipe
        self.voice = voice_encoder(spec, DIM)
        self.face = face_encoder(DIM)
        self.heads = tf.keras.layers.Dense(8)
        self.heads.build((None, DIM))
        self.scale = tf.Variable(math.log(10.0), dtype=tf.float32)
        self.classes = tf.Variable(tf.random.normal((identities, DIM), stddev=0.05, seed=1))
        self.optimizer = tf.keras.optimizers.AdamW(
            recipe.learning_rate, weight_decay=recipe.weight_decay, clipnorm=5.0
        )
        self.optimizer.exclude_from_weight_decay(var_list=[self.scale, self.classes])
        self.step = tf.Variable(0, dtype=tf.int64)

    def variables(self) -> list[Any]:
        """Return what the optimizer changes."""
        return [
            *self.voice.trainable_variables,
            *self.face.trainable_variables,
            *self.heads.trainable_variables,
            self.scale,
            self.classes,
        ]

    def embed_voices(self, codes: Any, batch: int = 128) -> Float32:
        """Return raw embeddings (n, d) of feature codes (n, frames, mels) int8."""
        parts = [
            self.voice(codes[i : i + batch, ..., None].astype(np.float32) / 32.0, training=False)
            for i in range(0, len(codes), batch)
        ]
        return np.concatenate([np.asarray(p["embedding"]) for p in parts])

    def embed_faces(self, pictures: Any, batch: int = 128) -> Float32:
        """Return raw embeddings (n, d) of pictures (n, 128, 128, 3) uint8."""
        parts = [
            self.face(centre_crop(pictures[i : i + batch]), training=False)
            for i in range(0, len(pictures), batch)
        ]
        return np.concatenate([np.asarray(p["embedding"]) for p in parts])


def train_encoders(
    data: Dataset, spec: LogMelSpec, recipe: TrainingRecipe, folder: Path, seed: int
) -> Encoders:
    """Train, resuming from the last checkpoint in `folder`.

    Returns:
        The encoders of the step that matched the validation split best.
    """
    import tensorflow as tf
    from tqdm import tqdm

    tf.keras.utils.set_random_seed(seed)
    paired = data.rows("paired", "train")
    model = Encoders(spec, len(paired), recipe)
    checkpoint = tf.train.Checkpoint(
        voice=model.voice, face=model.face, heads=model.heads, scale=model.scale,
        classes=model.classes, optimizer=model.optimizer, step=model.step,
    )  # fmt: skip
    manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1)
    model.optimizer.build(model.variables())
    checkpoint.restore(manager.latest_checkpoint)

    total = recipe.face_steps + recipe.joint_steps
    start = int(model.step.numpy())
    batches = prefetch(_Batches(data, paired, recipe, seed).make, start, total)
    face_step, joint_step = _steps(model)
    best = _Best(model, data, folder / "best")
    with tqdm(total=total, initial=start, desc="encoders", unit="step", smoothing=0.05) as bar:
        for step, batch in zip(range(start, total), batches, strict=True):
            model.optimizer.learning_rate.assign(_learning_rate(step, recipe))
            if step < recipe.face_steps:
                loss = face_step(batch["faces"], batch["face_labels"])
            else:
                loss = joint_step(batch)
            model.step.assign(step + 1)
            bar.update()
            if step % 10 == 0:
                bar.set_postfix(loss=f"{float(loss):.3f}", refresh=False)
            if (step + 1) % SAVE_EVERY == 0 or step + 1 == total:
                manager.save()
            if step >= recipe.face_steps and (step + 1) % CHECK_EVERY == 0:
                bar.write(f"step {step + 1}: {best.look()}")
    best.restore()
    return model


class _Best:
    """Keeps the encoders that matched the validation split best (Shape of Sound, section 7)."""

    def __init__(self, model: Encoders, data: Dataset, folder: Path) -> None:
        import tensorflow as tf

        self.model, self.data = model, data
        self.rows = data.rows("paired", "validation")
        self.score = tf.Variable(0.0, dtype=tf.float32)
        self.checkpoint = tf.train.Checkpoint(voice=model.voice, face=model.face, score=self.score)
        self.manager = tf.train.CheckpointManager(self.checkpoint, str(folder), max_to_keep=1)
        if self.manager.latest_checkpoint:
            reader = tf.train.load_checkpoint(self.manager.latest_checkpoint)
            self.score.assign(reader.get_tensor("score/.ATTRIBUTES/VARIABLE_VALUE"))

    def look(self) -> str:
        """Measure the encoders as they are, keep them if they are the best so far, say so."""
        everybody, same_sex = validate(self.model, self.data, self.rows)
        best = everybody > float(self.score.numpy())
        if best:
            self.score.assign(everybody)
            self.manager.save()
        return (
            f"validation 1:2 voice→face {everybody:.3f}, same sex {same_sex:.3f} "
            f"({len(self.rows)} people){', best so far' if best else ''}"
        )

    def restore(self) -> None:
        """Bring the best encoders back, if any were kept."""
        if self.manager.latest_checkpoint:
            self.checkpoint.restore(self.manager.latest_checkpoint).expect_partial()


def validate(model: Encoders, data: Dataset, rows: Index) -> tuple[float, float]:
    """Return 1:2 matching voice→face, of everybody and within a sex, mean of `DRAWS` draws.

    A draw is one clean clip and one photo of each person.
    """
    female = data.labels.female[rows]
    same_sex = female[:, None] == female[None]
    results = []
    for k in range(DRAWS):
        clips = data.codes[[data.clips_of[r][k % len(data.clips_of[r])] for r in rows], 0]
        pictures = [p for p in (data.pictures[r] for r in rows) if p is not None]
        photos = np.array([p[1 + k % (len(p) - 1)] for p in pictures])
        voices, faces = model.embed_voices(clips), model.embed_faces(photos)
        results.append((matching_1_2(voices, faces), matching_1_2(voices, faces, same_sex)))
    everybody, within = np.mean(results, axis=0)
    return float(everybody), float(within)


def _learning_rate(step: int, recipe: TrainingRecipe) -> float:
    """One cycle for each of the two phases: warm-up over a tenth, then a cosine to zero."""
    if step < recipe.face_steps:
        done = step / recipe.face_steps
    else:
        done = (step - recipe.face_steps) / recipe.joint_steps
    warm = done / 0.1 if done < 0.1 else 0.5 * (1 + math.cos(math.pi * (done - 0.1) / 0.9))
    return recipe.learning_rate * (warm + 0.005)


class _Batches:
    """Draws the batch of a step; a pure function of (seed, step), so a resumed run continues."""

    def __init__(self, data: Dataset, paired: Index, recipe: TrainingRecipe, seed: int) -> None:
        self.data, self.paired, self.recipe, self.seed = data, paired, recipe, seed
        self.voices = data.rows("voice_only", "train")
        self.faces = data.rows("face_only", "train")

    def make(self, step: int) -> dict[str, Any]:
        rng = np.random.default_rng([self.seed, 31, step])
        n = self.recipe.batch
        if step < self.recipe.face_steps:
            everybody = np.concatenate([self.paired, self.faces])
            people = rng.choice(everybody, 2 * n, replace=len(everybody) < 2 * n)
            return {
                "faces": face_batch(self.data, people, rng),
                "face_labels": take(self.data.labels, people),
            }
        chosen = rng.choice(len(self.paired), n, replace=len(self.paired) < n)
        pairs = self.paired[chosen]
        voices = np.concatenate([pairs, _some(self.voices, n // 3, rng)])
        faces = np.concatenate([pairs, _some(self.faces, n // 3, rng)])
        return {
            "identities": chosen.astype(np.int32),
            "voices": voice_batch(self.data, voices, rng),
            "voice_labels": take(self.data.labels, voices),
            "faces": face_batch(self.data, faces, rng),
            "face_labels": take(self.data.labels, faces),
        }


def _some(people: Index, count: int, rng: np.random.Generator) -> Index:
    return rng.choice(people, count) if len(people) else people


def take(labels: Labels, people: Index) -> dict[str, Any]:
    """Return the rows of every label column."""
    return {name: getattr(labels, name)[people] for name in Labels.__dataclass_fields__}


def _steps(model: Encoders) -> tuple[Any, Any]:
    """Compile one training step of each phase."""
    import tensorflow as tf

    recipe = model.recipe

    def apply(tape: Any, loss: Any) -> Any:
        variables = model.variables()
        gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
        model.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    def head_loss(embeddings: Any, labels: Any) -> Any:
        scaled = tf.nn.dropout(embeddings * losses.HEAD_SCALE, 0.1)
        return losses.shared_traits(model.heads(scaled), labels)

    @tf.function
    def face_step(faces: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            embeddings = tf.math.l2_normalize(model.face(faces, training=True)["embedding"], 1)
            loss = head_loss(embeddings, labels)
        return apply(tape, loss)

    @tf.function
    def joint_step(batch: Any) -> Any:
        pairs = tf.shape(batch["identities"])[0]
        with tf.GradientTape() as tape:
            heard = model.voice(batch["voices"], training=True)
            voices = tf.math.l2_normalize(heard["embedding"], 1)
            faces = tf.math.l2_normalize(model.face(batch["faces"], training=True)["embedding"], 1)
            scale = tf.minimum(tf.exp(model.scale), 50.0)
            loss = recipe.contrastive * losses.contrastive(voices[:pairs], faces[:pairs], scale)
            for side in (voices, faces):
                people = batch["identities"]
                loss += recipe.identity * losses.identity(side[:pairs], model.classes, people)
            loss += recipe.traits * (
                head_loss(voices, batch["voice_labels"])
                + head_loss(faces, batch["face_labels"])
                + losses.voice_traits(heard, batch["voice_labels"])
            )
        return apply(tape, loss)

    return face_step, joint_step
