"""The losses against the formulas they were published with."""

from __future__ import annotations

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="the [convert] extra is not installed")

from convert.training import losses  # noqa: E402


@pytest.fixture
def pairs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return tuple(rng.normal(size=(5, 4)).astype(np.float32) for _ in range(2))


def test_explicit_alignment_is_the_published_sum(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    """Shape of Sound's page, section 5, term by term."""
    voices, faces = pairs
    expected = np.zeros(5)
    for anchors, candidates in ((voices, faces), (faces, voices)):
        for i in range(5):
            right = anchors[i] @ candidates[i] / np.linalg.norm(candidates[i])
            terms = [
                np.exp(anchors[i] @ c / np.linalg.norm(c) - right) if j != i else 1.0
                for j, c in enumerate(candidates)
            ]
            expected[i] += 0.5 * np.log(1 + 3.4 + sum(terms))
    assert losses.explicit(voices, faces).numpy() == pytest.approx(expected, rel=1e-5)


def test_implicit_alignment_is_cross_entropy_of_plain_products(
    pairs: tuple[np.ndarray, np.ndarray],
) -> None:
    embeddings, classes = pairs
    logits = embeddings @ classes.T
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(5), np.arange(5)]
    assert losses.implicit(embeddings, classes, np.arange(5)).numpy() == pytest.approx(
        expected, rel=1e-5
    )


@pytest.fixture
def learnt(pairs: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voices and faces whose cosines, times 10, are the law; and the law."""
    voices, faces = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in pairs)
    return voices, faces, (10.0 * voices @ faces.T).astype(np.float32)


def test_law_alignment_is_least_where_the_cosines_tell_the_law(
    learnt: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    voices, faces, law = learnt
    female = np.array([1, 0, 1, 0, 0], np.float32)
    told = float(losses.law_alignment(voices, faces, 10.0, law, female))

    def entropy(beside: np.ndarray) -> float:
        """Of the softmax among `beside`, rows and columns; both directions."""
        total = 0.0
        for x in (law, law.T):
            p = np.exp(x) * beside
            p /= p.sum(axis=1, keepdims=True)
            total -= np.where(beside, p * np.log(np.where(beside, p, 1.0)), 0.0).sum(axis=1).mean()
        return total

    same = female[:, None] == female[None]
    expected = 0.5 * (entropy(np.ones_like(same)) + entropy(same))
    assert told == pytest.approx(expected, rel=1e-4)


def test_law_alignment_within_a_sex_does_not_see_the_other(
    learnt: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    voices, faces, law = learnt
    mixed = np.array([1, 0, 1, 0, 0], np.float32)
    alone = np.arange(5, dtype=np.float32)  # nobody beside anybody: that half costs nothing
    among_all = float(losses.law_alignment(voices, faces, 10.0, law, alone))
    with_sexes = float(losses.law_alignment(voices, faces, 10.0, law, mixed))
    everybody = float(losses.law_alignment(voices, faces, 10.0, law, np.zeros(5, np.float32)))
    assert everybody == pytest.approx(2 * among_all, rel=1e-5)
    assert among_all < with_sexes < everybody


@pytest.mark.parametrize("quantile", losses.QUANTILES)
def test_the_quantile_loss_is_least_at_its_quantile(quantile: float) -> None:
    years = np.random.default_rng(0).normal(size=2000).astype(np.float32)
    guesses = np.linspace(-2, 2, 81)
    mean = [
        float(np.mean(losses._pinball(np.full(2000, g, "f4"), years, quantile))) for g in guesses
    ]
    assert guesses[np.argmin(mean)] == pytest.approx(np.quantile(years, quantile), abs=0.06)
