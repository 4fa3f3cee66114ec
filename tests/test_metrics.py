"""The papers' figures on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from convert.metrics import auc, matching_1_2, mean_cosine, psnr_db, sharpness, unit


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
    rng = np.random.default_rng(0)
    voices, faces = rng.normal(size=(2, 12, 4)).astype(np.float32)
    sex = rng.random(12) < 0.5
    same = sex[:, None] == sex[None]
    scores = unit(voices) @ unit(faces).T
    wins = [
        scores[i, i] > scores[i, j] for i in range(12) for j in range(12) if i != j and same[i, j]
    ]
    assert matching_1_2(voices, faces, same) == pytest.approx(np.mean(wins))


def test_auc_against_counting_pairs() -> None:
    rng = np.random.default_rng(1)
    voices, faces = rng.normal(size=(2, 9, 4)).astype(np.float32)
    scores = unit(voices) @ unit(faces).T
    off = scores[~np.eye(9, dtype=bool)]
    expected = np.mean([[right > wrong for wrong in off] for right in np.diag(scores)])
    assert auc(voices, faces) == pytest.approx(expected)


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
