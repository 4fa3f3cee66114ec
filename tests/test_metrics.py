"""The papers' figures on cases whose answer is known."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from convert.metrics import (
    auc,
    correlation,
    everybody,
    matching,
    matching_1_2,
    mean_cosine,
    psnr_db,
    queries_counted,
    retrieval,
    sharpness,
    unit,
    verification,
)


def test_perfect_and_hopeless() -> None:
    identity = np.eye(8, dtype=np.float32)
    assert matching_1_2(identity, identity) == 1.0
    assert auc(identity, identity) == 1.0
    assert matching_1_2(identity, -identity) == 0.0
    assert auc(identity, -identity) == 0.0


def test_ties_count_half() -> None:
    same = np.ones((5, 3), np.float32)
    assert matching_1_2(same, same) == 0.5


def test_against_counting_triples() -> None:
    """Every query counts the same, however many wrong candidates it has."""
    rng = np.random.default_rng(0)
    voices, faces = rng.normal(size=(2, 12, 4)).astype(np.float32)
    sex = rng.random(12) < 0.3
    same = sex[:, None] == sex[None]
    scores = unit(voices) @ unit(faces).T
    wins = [
        np.mean([scores[i, i] > scores[i, j] for j in range(12) if i != j and same[i, j]])
        for i in range(12)
    ]
    assert matching_1_2(voices, faces, same) == pytest.approx(np.mean(wins))


def test_one_of_many_against_every_choice() -> None:
    scores = np.random.default_rng(4).normal(size=(7, 7)).astype(np.float32)
    allowed = np.ones((7, 7), bool)
    for n in (3, 5):
        choices = [
            all(scores[i, i] > scores[i, j] for j in wrong)
            for i in range(7)
            for wrong in combinations([j for j in range(7) if j != i], n - 1)
        ]
        found = matching(scores, allowed, (n,), everybody(7))[0, 0]
        assert found == pytest.approx(np.mean(choices))


def test_a_query_without_candidates_enough_does_not_count() -> None:
    group = np.array([0, 0, 0, 1, 1])
    allowed = group[:, None] == group[None]
    scores = np.eye(5, dtype=np.float32)
    scores[4] = scores[4, ::-1]  # the last one is always wrong
    assert queries_counted(allowed, 2) == 5
    assert queries_counted(allowed, 3) == 3
    found = matching(scores, allowed, (2, 3), everybody(5))[:, 0]
    assert found == pytest.approx([0.8 + 0.1, 1.0])  # its two candidates: one tie, half a win


def test_weights_are_repeated_people() -> None:
    """A person drawn twice counts twice, but is never a candidate against themselves."""
    rng = np.random.default_rng(5)
    voices, faces = rng.normal(size=(2, 5, 3)).astype(np.float32)
    scores = unit(voices) @ unit(faces).T
    drawn = np.array([0, 0, 2, 3, 4, 4])
    again = scores[np.ix_(drawn, drawn)]
    other = drawn[:, None] != drawn[None]
    weights = np.bincount(drawn, minlength=5)[None].astype(float)
    everyone = np.ones((5, 5), bool)
    found = matching(scores, everyone, (2, 3), weights)[:, 0]
    assert found == pytest.approx(matching(again, other, (2, 3), everybody(6))[:, 0])
    area = verification(scores, everyone, weights).auc[0]
    assert area == pytest.approx(verification(again, other, everybody(6)).auc[0])


def test_auc_against_counting_pairs() -> None:
    rng = np.random.default_rng(1)
    voices, faces = rng.normal(size=(2, 9, 4)).astype(np.float32)
    scores = unit(voices) @ unit(faces).T
    off = scores[~np.eye(9, dtype=bool)]
    expected = np.mean([[right > wrong for wrong in off] for right in np.diag(scores)])
    assert auc(voices, faces) == pytest.approx(expected)


def test_equal_error_rate_of_known_scores() -> None:
    scores = np.array([[0.9, 0.1, 0.2], [0.3, 0.8, 0.7], [0.1, 0.2, 0.6]], np.float32)
    found = verification(scores, np.ones((3, 3), bool), everybody(3))
    assert found.eer[0] == pytest.approx(1 / 9)  # a third of the way from .6 to .8
    assert found.accepted[[0, -1]] == pytest.approx([1 / 6, 0.0])
    assert found.refused[[0, -1]] == pytest.approx([0.0, 1.0])


def test_retrieval_against_sorting() -> None:
    rng = np.random.default_rng(6)
    people, photos = 6, 3
    owners = np.tile(np.arange(people), photos)
    askers = np.array([0, 3, 5])
    scores = rng.normal(size=(3, people * photos)).astype(np.float32)
    sex = np.array([0, 1, 0, 1, 0, 1])
    allowed = sex[:, None] == sex[None]
    found = retrieval(scores, askers, owners, allowed, (1, 4))
    for q, asker in enumerate(askers):
        shown = np.flatnonzero(allowed[asker][owners])
        order = shown[np.argsort(-scores[q, shown])]
        hits = owners[order] == asker
        precision = np.mean([hits[: k + 1].mean() for k in np.flatnonzero(hits)])
        assert found.precision[q] == pytest.approx(precision)
        assert found.found[q].tolist() == [hits[:1].any(), hits[:4].any()]


def test_chance_is_what_shuffling_gives() -> None:
    rng = np.random.default_rng(7)
    owners, askers = np.tile(np.arange(5), 2), np.zeros(4000, int)
    scores = rng.normal(size=(4000, 10)).astype(np.float32)
    found = retrieval(scores, askers, owners, np.ones((5, 5), bool), (1, 3))
    assert found.precision.mean() == pytest.approx(found.chance_precision[0], abs=0.01)
    assert found.found.mean(axis=0) == pytest.approx(found.chance_found[0], abs=0.03)


def test_correlation_is_pearsons() -> None:
    x, y = np.random.default_rng(8).normal(size=(2, 40))
    found = correlation(x, x + y, everybody(40))[0]
    assert found == pytest.approx(np.corrcoef(x, x + y)[0, 1])
    assert correlation(x, np.ones(40), everybody(40))[0] == 0.0


def test_cosine_ignores_length() -> None:
    x = np.random.default_rng(2).normal(size=(6, 5)).astype(np.float32)
    assert mean_cosine(x, 3.0 * x) == pytest.approx(1.0)


def test_psnr_of_a_known_error() -> None:
    a = np.full((2, 4, 4, 3), 100, np.uint8)
    b = a + np.uint8(10)
    np.testing.assert_allclose(psnr_db(a, b), 20 * np.log10(255 / 10))
    assert psnr_db(a, a) == pytest.approx([99.0, 99.0])


def test_blur_lowers_sharpness() -> None:
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (1, 128, 128, 3)).astype(np.uint8)
    blurred = (noise.astype(int) + np.roll(noise, 1, 1) + np.roll(noise, 1, 2)) // 3
    assert sharpness(blurred.astype(np.uint8)) < 0.7 * sharpness(noise)
