"""Identity re-weighting follows the published schedule."""

from __future__ import annotations

import numpy as np
import pytest

from convert.training.reweighting import IdentityWeights, batch_weights

IDENTITIES = 924  # of VoxCeleb1's training split
STEPS = 2400


def learnt(losses: np.ndarray) -> IdentityWeights:
    """Run the published first stage with losses that never change."""
    weights = IdentityWeights(len(losses), STEPS)
    people = np.arange(len(losses), dtype=np.int32)
    for step in range(1, STEPS + 1):
        if step % 50 == 0:
            weights.observe(people, losses.astype(np.float32))
        weights.update(step)
    return weights


def test_the_published_numbers_come_out() -> None:
    """Shape of Sound's page, section 6: 836 of 924 admitted, the smallest weight 0.99^17."""
    rng = np.random.default_rng(0)
    weight = learnt(rng.permutation(np.linspace(2.0, 14.0, IDENTITIES))).weight
    assert np.count_nonzero(weight) == 836
    assert weight[weight > 0].min() == pytest.approx(0.99**17)
    assert np.count_nonzero(weight == 1.0) == 22


def test_the_hardest_identities_are_filtered_out() -> None:
    losses = np.random.default_rng(1).permutation(np.linspace(2.0, 14.0, IDENTITIES))
    weight = learnt(losses).weight
    assert losses[weight == 0].min() > losses[weight > 0].max()


def test_everybody_counts_alike_before_the_filtering_begins() -> None:
    weights = IdentityWeights(10, STEPS)
    weights.update(499)
    assert (weights.weight == 1.0).all()
    weights.update(500)
    assert np.count_nonzero(weights.weight) == 5


def test_an_identity_twice_in_a_batch_is_observed_twice() -> None:
    weights = IdentityWeights(2, STEPS)
    weights.observe(np.array([0, 0], np.int32), np.array([4.0, 4.0], np.float32))
    assert weights.loss[0] == pytest.approx(14.0 * 0.81 + 0.8)
    assert weights.loss[1] == 14.0


def test_used_weights_have_mean_one_and_an_empty_batch_gets_one() -> None:
    weight = np.array([0.0, 0.0, 2.0, 2.0])
    assert batch_weights(weight, np.array([2, 3], np.int32)) == pytest.approx([2.0, 2.0])
    assert batch_weights(weight, np.array([0, 1], np.int32)) == pytest.approx([1.0, 1.0])
