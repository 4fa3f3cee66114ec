"""The losses of the shared space.

From Seeking the Shape of Sound (section 5 of its page): `implicit`, one classifier shared by both
modalities asks who it is, and `explicit`, a voice and a face of one person attract each other
against the others of the batch. Both take embeddings as the networks give them, not normalised.

Of our own: `law_alignment`, in which the ideal observer of the synthetic population teaches how
well every voice of the batch fits every face, and traits read from both modalities. They are what
makes the space learn from few identities, whose personal features no voice carries.
"""

from __future__ import annotations

from typing import Any

HEAD_SCALE = 8.0  # unit embeddings are scaled up before a linear head
EXPLICIT_MARGIN = 1.0 + 3.4  # of the log-sum; the published code's constants
EXCLUDED = 1e4  # taken from the logits of whom a softmax leaves out
SMOOTHING = 0.03  # of the sex labels: nobody's voice is certain
QUANTILES = (0.1, 0.5, 0.9)  # of the age in years


def implicit(embeddings: Any, classes: Any, people: Any) -> Any:
    """Return each one's cross-entropy (n,) of embeddings (n, d) over class vectors (k, d)."""
    import tensorflow as tf

    logits = tf.matmul(embeddings, classes, transpose_b=True)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(people, logits)


def explicit(voices: Any, faces: Any) -> Any:
    """Return each pair's bidirectional in-batch alignment loss (n,), of embeddings (n, d).

    The anchor keeps its length, the candidates are normalised; the loss of anchor i is
    log(1 + 3.4 + sum_j exp(d_ij - d_ii)), averaged over both directions.
    """
    import tensorflow as tf

    total = 0.0
    for anchors, candidates in ((voices, faces), (faces, voices)):
        fit = tf.matmul(anchors, tf.math.l2_normalize(candidates, 1), transpose_b=True)
        distance = fit - tf.linalg.diag_part(fit)[:, None]
        total += 0.5 * tf.math.log(EXPLICIT_MARGIN + tf.reduce_sum(tf.exp(distance), axis=1))
    return total


def law_alignment(voices: Any, faces: Any, scale: Any, law: Any, female: Any) -> Any:
    """Return the symmetric cross-entropy of the batch's cosines against the ideal observer.

    Half of it asks among everybody, half within each sex: sex is quickly learnt, and its part of
    the loss would drown what age and size tell.

    Args:
        voices: (n, d), unit length.
        faces: (n, d), unit length.
        scale: of the cosines.
        law: (n, n) log p(face j | voice i) - log p(face j), population/oracle.py.
        female: (n,) 0 or 1.
    """
    import tensorflow as tf

    logits = scale * tf.matmul(voices, faces, transpose_b=True)
    other = EXCLUDED * tf.abs(female[:, None] - female[None])
    loss = 0.0
    for taught, learnt in ((law, logits), (tf.transpose(law), tf.transpose(logits))):
        for away in (0.0, other):
            wanted = tf.nn.softmax(taught - away)
            found = tf.nn.softmax_cross_entropy_with_logits(wanted, learnt - away)
            loss += 0.5 * tf.reduce_mean(found)
    return loss


def shared_traits(heads: Any, labels: dict[str, Any]) -> Any:
    """Return the trait loss of the shared space's linear heads, for either modality.

    Args:
        heads: (n, 8): log-odds of female, three age classes, ln F0, ln vocal tract, years, size.
        labels: columns of `dataset.Labels`.
    """
    import tensorflow as tf

    age = tf.one_hot(labels["age_class"], 3) * 0.95 + 0.05 / 3
    classes = tf.nn.softmax_cross_entropy_with_logits(age, heads[:, 1:4])
    body = _huber(heads[:, 6:8], labels["body"][:, :2])
    known = labels["age_weight"]
    return (
        _sex(heads[:, 0], labels)
        + tf.reduce_mean(classes * known)
        + 2.0 * tf.reduce_mean(_huber(heads[:, 4:6], labels["acoustic"]))
        + 2.0 * tf.reduce_mean(body * known)
    )


def voice_traits(outputs: dict[str, Any], labels: dict[str, Any], age_prior: Any) -> Any:
    """Return the loss of the trait outputs that ship with the voice encoder.

    Args:
        outputs: of the voice encoder.
        labels: columns of `dataset.Labels`.
        age_prior: (3,) weight of each age class where years are read.
    """
    import tensorflow as tf

    child = tf.nn.sigmoid_cross_entropy_with_logits(labels["child"], outputs["child"][:, 0])
    acoustic = tf.concat([outputs["ln_f0"], outputs["ln_vtl"]], axis=1)
    weight = tf.gather(age_prior, labels["age_class"]) * labels["age_weight"]
    years = labels["body"][:, 2]
    ages = sum(
        _pinball(outputs[name][:, 0], years, quantile)
        for name, quantile in zip(("age_low", "age_years", "age_high"), QUANTILES, strict=True)
    )
    return (
        _sex(outputs["female"][:, 0], labels)
        + tf.reduce_mean(child * (0.5 + 0.5 * labels["age_weight"]))
        + 2.0 * tf.reduce_mean(_huber(acoustic, labels["acoustic"]))
        + 2.0 * tf.reduce_mean(ages * weight)
    )


def voice_quality(heads: Any, labels: dict[str, Any]) -> Any:
    """Return the loss of the linear heads (n, 6) that read the source's parameters, where known."""
    import tensorflow as tf

    return tf.reduce_mean(_huber(heads, labels["quality"]) * labels["quality_weight"])


def _sex(log_odds: Any, labels: dict[str, Any]) -> Any:
    import tensorflow as tf

    wanted = SMOOTHING + (1.0 - 2.0 * SMOOTHING) * labels["female"]
    loss = tf.nn.sigmoid_cross_entropy_with_logits(wanted, log_odds)
    return tf.reduce_mean(loss * labels["sex_weight"])


def _pinball(predicted: Any, wanted: Any, quantile: float) -> Any:
    """Return the quantile loss (n,), least when `quantile` of the truths lie below (Koenker)."""
    import tensorflow as tf

    error = wanted - predicted
    return tf.maximum(quantile * error, (quantile - 1.0) * error)


def _huber(predicted: Any, wanted: Any) -> Any:
    """Return the element-wise Huber loss averaged over the last axis, delta 1."""
    import tensorflow as tf

    error = tf.abs(predicted - wanted)
    return tf.reduce_mean(tf.where(error < 1.0, 0.5 * error**2, error - 0.5), axis=-1)
