"""Two-stage identity re-weighting with filtering of personalised identities.

Seeking the Shape of Sound, section 6 of its page: a first run learns a weight for every identity,
the final run uses them frozen. Identities whose loss stays high are personal (nothing in the voice
speaks of the face) and keep weight 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge.types import Float32

Weights = npt.NDArray[np.float64]  # (identities,)

FIRST_LOSS = 14.0  # about 2 ln 924, the loss of a guess
MEMORY = 0.9  # of the running mean of an identity's loss
FIRST_SHARE, NEXT_SHARE, LAST_SHARE = 0.5, 0.024, 0.9
DECAY = 0.99
START, EVERY = 500 / 2400, 100 / 2400  # of the first run's steps


class IdentityWeights:
    """Learns the weights during the first run."""

    def __init__(self, identities: int, steps: int) -> None:
        """Begin with weight 1 for everybody.

        Args:
            identities: how many there are.
            steps: length of the first run.
        """
        self.loss = np.full(identities, FIRST_LOSS)
        self.weight = np.ones(identities)
        self._start, self._every = round(START * steps), max(1, round(EVERY * steps))
        self._filtering = False

    def restore(self, loss: Weights, weight: Weights) -> None:
        """Go on from what an interrupted first run had learnt."""
        self.loss[:], self.weight[:] = loss, weight
        self._filtering = bool((weight != 1.0).any())

    def observe(self, people: npt.NDArray[np.int32], losses: Float32) -> None:
        """Take in the losses (n,) of the identities (n,) of one batch."""
        np.multiply.at(self.loss, people, MEMORY)
        np.add.at(self.loss, people, (1 - MEMORY) * losses)

    def update(self, step: int) -> None:
        """Admit more identities when it is time; `step` counts from 1."""
        if step < self._start or (step - self._start) % self._every:
            return
        everybody = len(self.weight)
        if not self._filtering:
            self._filtering = True
            self.weight[:] = 0.0
            self._admit(int(FIRST_SHARE * everybody))
        elif np.count_nonzero(self.weight) < LAST_SHARE * everybody:
            self.weight *= DECAY
            self._admit(int(NEXT_SHARE * everybody))

    def _admit(self, count: int) -> None:
        outside = np.flatnonzero(self.weight == 0.0)
        self.weight[outside[np.argsort(self.loss[outside], kind="stable")[:count]]] = 1.0


def batch_weights(weight: Weights, people: npt.NDArray[np.int32]) -> Float32:
    """Return the weights (n,) of a batch's identities, of mean 1 over all identities.

    A batch without any weight would teach nothing: all of it gets 1 more.
    """
    own = weight[people] * len(weight) / max(float(weight.sum()), 1e-9)
    return np.asarray(own + 1.0 if own.sum() < 1e-3 else own, dtype=np.float32)
