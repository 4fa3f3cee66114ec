"""One training step of each phase, compiled."""

from __future__ import annotations

from typing import Any

from . import losses
from .model import Encoders

# Weight of child, adult, elderly where an age in years is read from a voice. It makes a tenth of
# the speakers older than 65, as in the world, and a twentieth children: most who speak to a device
# are adults, and a woman who speaks in a high voice (above 240 Hz) sounds like a child of ten.
AGE_PRIOR = (0.25, 1.0, 0.4)
QUALITY_WEIGHT = 0.5
DROPOUT = 0.1  # before the linear heads
ALIGNMENT_LAW, ALIGNMENT_TRAITS = 3.0, 0.3  # times the recipe's weights, in the last phase


def training_steps(model: Encoders) -> tuple[Any, Any]:
    """Return (face_step, joint_step).

    `face_step(faces, labels)` trains the face encoder on traits and returns the loss.
    `joint_step(batch, last)` trains everything and returns the loss and each pair's implicit loss
    (n,), both modalities together, which re-weighting listens to; in the last phase the law weighs
    more than the traits.
    """
    import tensorflow as tf

    recipe = model.recipe

    def apply(tape: Any, loss: Any) -> None:
        variables = model.variables()
        gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
        model.optimizer.apply_gradients(zip(gradients, variables, strict=True))

    def dropped(unit: Any) -> Any:
        return tf.nn.dropout(unit * losses.HEAD_SCALE, DROPOUT)

    @tf.function
    def face_step(faces: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            unit = tf.math.l2_normalize(model.face(faces, training=True)["embedding"], 1)
            loss = losses.shared_traits(model.heads(dropped(unit)), labels)
        apply(tape, loss)
        return loss

    def alignment(batch: Any, voices: Any, faces: Any, law: Any) -> tuple[Any, Any]:
        # as published, weights act on the implicit loss only through their mean in the batch
        who, weights = batch["identities"], batch["weights"]
        own = losses.implicit(voices, model.classes, who) + losses.implicit(
            faces, model.classes, who
        )
        loss = recipe.implicit * tf.reduce_mean(own) * tf.reduce_mean(weights)
        loss += recipe.explicit * tf.reduce_mean(weights * losses.explicit(voices, faces))
        if recipe.law:
            loss += law * losses.law_alignment(
                tf.math.l2_normalize(voices, 1), tf.math.l2_normalize(faces, 1),
                tf.minimum(tf.exp(model.scale), 50.0), batch["law"],
                batch["face_labels"]["female"][: tf.shape(who)[0]],
            )  # fmt: skip
        return loss, own

    @tf.function
    def joint_step(batch: Any, last: bool) -> tuple[Any, Any]:
        law, traits = recipe.law, recipe.traits
        if last:
            law, traits = law * ALIGNMENT_LAW, traits * ALIGNMENT_TRAITS
        pairs = tf.shape(batch["identities"])[0]
        prior = tf.constant(AGE_PRIOR)
        with tf.GradientTape() as tape:
            heard = model.voice(batch["voices"], training=True)
            seen = model.face(batch["faces"], training=True)["embedding"]
            loss, own = alignment(batch, heard["embedding"][:pairs], seen[:pairs], law)
            voices = dropped(tf.math.l2_normalize(heard["embedding"], 1))
            faces = dropped(tf.math.l2_normalize(seen, 1))
            labels = batch["voice_labels"]
            loss += traits * (
                losses.shared_traits(model.heads(voices), labels)
                + losses.shared_traits(model.heads(faces), batch["face_labels"])
                + losses.voice_traits(heard, labels, prior)
                + QUALITY_WEIGHT * losses.voice_quality(model.quality(voices), labels)
            )
        apply(tape, loss)
        return loss, own

    return face_step, joint_step
