"""The losses of the shared space.

Explicit alignment pulls the voice and the face of one person together against the others of the
batch; implicit alignment asks one classifier, shared by both modalities, who it is (Shape of Sound,
section 5). Trait losses on both modalities are what makes the space learn from few identities.
"""

from __future__ import annotations

from typing import Any

MARGIN, IDENTITY_SCALE = 0.10, 16.0  # of the identity classifier, on cosines
HEAD_SCALE = 8.0  # unit embeddings are scaled up before a linear head


def contrastive(voices: Any, faces: Any, scale: Any) -> Any:
    """Return symmetric in-batch cross-entropy of unit voices (n, d) against unit faces (n, d)."""
    import tensorflow as tf

    logits = scale * tf.matmul(voices, faces, transpose_b=True)
    right = tf.range(tf.shape(logits)[0])
    forward = tf.nn.sparse_softmax_cross_entropy_with_logits(right, logits)
    backward = tf.nn.sparse_softmax_cross_entropy_with_logits(right, tf.transpose(logits))
    return tf.reduce_mean(forward) + tf.reduce_mean(backward)


def identity(embeddings: Any, classes: Any, people: Any) -> Any:
    """Return additive-margin softmax of unit embeddings (n, d) over class vectors (k, d)."""
    import tensorflow as tf

    cosine = tf.matmul(embeddings, tf.math.l2_normalize(classes, axis=1), transpose_b=True)
    cosine -= MARGIN * tf.one_hot(people, tf.shape(classes)[0])
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(people, IDENTITY_SCALE * cosine)
    return tf.reduce_mean(loss)


def shared_traits(heads: Any, labels: dict[str, Any]) -> Any:
    """Return the trait loss of the shared space's linear heads, for either modality.

    Args:
        heads: (n, 8): log-odds of female, three age classes, ln F0, ln vocal tract, years, size.
        labels: columns of `dataset.Labels`.
    """
    import tensorflow as tf

    age = tf.one_hot(labels["age_class"], 3) * 0.95 + 0.05 / 3
    classes = tf.nn.softmax_cross_entropy_with_logits(age, heads[:, 1:4])
    body = _huber(heads[:, 6:8], labels["body"])
    known = labels["age_weight"]
    return (
        _sex(heads[:, 0], labels)
        + tf.reduce_mean(classes * known)
        + 2.0 * tf.reduce_mean(_huber(heads[:, 4:6], labels["acoustic"]))
        + 2.0 * tf.reduce_mean(body * known)
    )


def voice_traits(outputs: dict[str, Any], labels: dict[str, Any]) -> Any:
    """Return the loss of the trait outputs that ship with the voice encoder."""
    import tensorflow as tf

    child = tf.cast(tf.equal(labels["age_class"], 0), tf.float32)
    child_loss = tf.nn.sigmoid_cross_entropy_with_logits(child, outputs["child"][:, 0])
    acoustic = tf.concat([outputs["ln_f0"], outputs["ln_vtl"]], axis=1)
    return (
        _sex(outputs["female"][:, 0], labels)
        + tf.reduce_mean(child_loss * labels["age_weight"])
        + 2.0 * tf.reduce_mean(_huber(acoustic, labels["acoustic"]))
    )


def _sex(log_odds: Any, labels: dict[str, Any]) -> Any:
    import tensorflow as tf

    loss = tf.nn.sigmoid_cross_entropy_with_logits(labels["female"], log_odds)
    return tf.reduce_mean(loss * labels["sex_weight"])


def _huber(predicted: Any, wanted: Any) -> Any:
    """Return the element-wise Huber loss averaged over the last axis, delta 1."""
    import tensorflow as tf

    error = tf.abs(predicted - wanted)
    return tf.reduce_mean(tf.where(error < 1.0, 0.5 * error**2, error - 0.5), axis=-1)
