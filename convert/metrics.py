"""The figures of both papers, computed from scores and embeddings.

Where a function takes `weights` (b, n), row b says how often each of the n people was drawn; the
figure of every row comes back, (b,). A single row of ones is the sample as it is (`everybody`),
more rows are bootstrap resamples of people (`report.bootstrap`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.types import Float32, UInt8

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]


def unit(x: Float32) -> Float32:
    """Scale each row to unit length."""
    length = np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
    return np.asarray(x / length, dtype=np.float32)


def everybody(n: int) -> Float64:
    """Return the weights (1, n) of the sample as it is."""
    return np.ones((1, n))


def matching_1_2(queries: Float32, gallery: Float32, same: Bool | None = None) -> float:
    """Return 1:2 matching accuracy over every possible triple (Shape of Sound, section 9).

    Args:
        queries: (n, d), one per person.
        gallery: (n, d) of the other modality, row i being the same person as query i.
        same: (n, n), only pairs where it is True serve as the wrong choice (same sex, ...).

    Returns:
        Share of wrong choices that are farther than the right one, averaged over the queries;
        ties count half.
    """
    return matching_of_scores(unit(queries) @ unit(gallery).T, same)


def matching_of_scores(scores: Float32, same: Bool | None = None) -> float:
    """Return 1:2 matching accuracy of any scores (queries, gallery), as `matching_1_2` does."""
    allowed = np.ones(scores.shape, bool) if same is None else same
    return float(matching(scores, allowed, (2,), everybody(len(scores)))[0, 0])


def matching(scores: Float32, allowed: Bool, of: Sequence[int], weights: Float64) -> Float64:
    """Return 1:N matching accuracy for each N, over every possible choice of wrong candidates.

    Every query counts the same, as in the papers' lists, where each is an anchor equally often.
    The chance that all N - 1 wrong candidates, drawn without replacement, lie below the right one
    is computed and not simulated. A query with fewer allowed candidates than N - 1 does not count.

    Args:
        scores: (n, n) of query i for candidate j; i = j is the right one.
        allowed: (n, n), which candidates may stand beside the right one.
        of: the values of N, each at least 2.
        weights: (b, n).

    Returns:
        (len(of), b).
    """
    right = np.diag(scores)[:, None]
    candidates = allowed & ~np.eye(len(scores), dtype=bool)
    below = np.where(candidates, (right > scores) + 0.5 * (right == scores), 0.0)
    total, beaten = weights @ candidates.T.astype(np.float64), weights @ below.T
    chance = np.ones_like(total)
    figures = []
    for n in range(2, max(of) + 1):
        drawn = n - 2  # candidates drawn before this one
        chance *= np.maximum(beaten - drawn, 0.0) / np.maximum(total - drawn, 1.0)
        counts = weights * (total >= n - 1)
        if n in of:
            figures.append((chance * counts).sum(axis=1) / counts.sum(axis=1).clip(1e-12))
    return np.array(figures)


def queries_counted(allowed: Bool, of: int) -> int:
    """Return how many of the n queries have candidates enough for 1:N matching."""
    return int((allowed.sum(axis=1) - allowed.diagonal() >= of - 1).sum())


def auc(queries: Float32, gallery: Float32) -> float:
    """Return the area under the ROC curve of same against different person, all pairs."""
    scores = unit(queries) @ unit(gallery).T
    allowed = np.ones(scores.shape, bool)
    return float(verification(scores, allowed, everybody(len(scores))).auc[0])


@dataclass(frozen=True, slots=True)
class Verification:
    """Same or different person, from a score and a threshold."""

    auc: Float64  # (b,)
    eer: Float64  # (b,) where as many are wrongly accepted as wrongly refused
    accepted: Float64  # (n + 1,) of the first row: share of different people let in, 1 → 0
    refused: Float64  # (n + 1,) share of the same person turned away at that threshold, 0 → 1


def verification(scores: Float32, allowed: Bool, weights: Float64) -> Verification:
    """Return the ROC's figures over all pairs; a pair i ≠ j counts where it is allowed.

    Which modality asks makes no difference, because every pair is asked.
    """
    n = len(scores)
    own = np.diag(scores)
    order = np.argsort(own, kind="stable")
    pairs = np.nonzero(allowed & ~np.eye(n, dtype=bool))
    different = scores[pairs]
    # 2 k: between the thresholds k - 1 and k; 2 k + 1: exactly on threshold k
    place = np.searchsorted(own[order], different, "left")
    place += np.searchsorted(own[order], different, "right")
    area, equal = np.empty(len(weights)), np.empty(len(weights))
    first: tuple[Float64, Float64] | None = None
    for b, row in enumerate(weights):
        counts = np.bincount(place, row[pairs[0]] * row[pairs[1]], 2 * n + 1)
        accepted = np.append(counts[::-1].cumsum()[::-1][1::2], 0.0) / max(counts.sum(), 1e-12)
        refused = np.append(0.0, row[order].cumsum()) / row.sum()
        above = 1.0 - 0.5 * (
            refused[np.arange(2 * n + 1) // 2] + refused[np.arange(1, 2 * n + 2) // 2]
        )
        area[b] = (counts * above).sum() / max(counts.sum(), 1e-12)
        gap = accepted - refused  # falls from 1 or less to -1
        k = max(1, int((gap <= 0).argmax()))
        share = gap[k - 1] / max(gap[k - 1] - gap[k], 1e-12)
        equal[b] = accepted[k - 1] + share * (accepted[k] - accepted[k - 1])
        first = first or (accepted, refused)
    if first is None:
        raise ValueError("weights has no rows")
    return Verification(area, equal, *first)


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What finding the right pictures among many gives for each query."""

    precision: Float64  # (q,) average precision
    found: Bool  # (q, len(k)), whether a right one is among the first k
    chance_precision: Float64  # (q,) expected of a random order
    chance_found: Float64  # (q, len(k))


def retrieval(
    scores: Float32, askers: Index, owners: Index, allowed: Bool, first: Sequence[int]
) -> Retrieval:
    """Rank a gallery for each query; ties with wrong items count half a place.

    Args:
        scores: (q, g).
        askers: (q,) person of each query.
        owners: (g,) person of each item; everybody owns the same number r.
        allowed: (n, n) people whose items are in the gallery of a query of person i.
        first: the values of k.
    """
    mine = askers[:, None] == owners[None]
    shown = allowed[askers][:, owners] | mine
    r = int(mine[0].sum())
    own = np.sort(scores[mine].reshape(len(askers), r), axis=1)[:, ::-1]
    rank = np.empty(own.shape)
    others = np.where(shown & ~mine, scores, -np.inf)
    for k in range(r):
        better = (others > own[:, k : k + 1]).sum(axis=1)
        equal = (others == own[:, k : k + 1]).sum(axis=1)
        rank[:, k] = k + 1 + better + 0.5 * equal
    size = shown.sum(axis=1).astype(np.float64)
    precision = (np.arange(1, r + 1) / rank).mean(axis=1)
    by_chance = np.array([chance_precision(int(g), r) for g in size])
    missed = [
        np.prod([(size - r - j).clip(0) / (size - j).clip(1) for j in range(k)], axis=0)
        for k in first
    ]
    return Retrieval(
        precision,
        rank[:, :1] <= np.array(first),
        by_chance,
        1.0 - np.stack(missed, axis=1),
    )


def chance_precision(size: int, relevant: int) -> float:
    """Return the average precision to expect of `size` items in a random order."""
    harmonic = float((1.0 / np.arange(1, size + 1)).sum())
    return (harmonic + (size - harmonic) * (relevant - 1) / max(size - 1, 1)) / size


def correlation(x: Float64, y: Float64, weights: Float64) -> Float64:
    """Return Pearson's r of x and y (n,) for each row of weights, (b,); 0 where one is constant."""
    share = weights / weights.sum(axis=1, keepdims=True)
    mean_x, mean_y = share @ x, share @ y
    covariance = share @ (x * y) - mean_x * mean_y
    spread = (share @ x**2 - mean_x**2) * (share @ y**2 - mean_y**2)
    return np.asarray(np.where(spread > 1e-12, covariance / np.sqrt(spread.clip(1e-12)), 0.0))


def mean_cosine(a: Float32, b: Float32) -> float:
    """Return the mean cosine between the vectors of two arrays (..., d)."""
    return float((unit(a) * unit(b)).sum(axis=-1).mean())


def to_pixels(images: Float32) -> UInt8:
    """Turn real images 0..1 to 8 bits."""
    return np.asarray(np.rint(np.clip(images, 0.0, 1.0) * 255.0), dtype=np.uint8)


def psnr_db(a: UInt8, b: UInt8) -> npt.NDArray[np.float64]:
    """Return the peak signal-to-noise ratio of each picture pair (n, h, w, 3), dB, at most 99."""
    error = ((a.astype(np.float64) - b.astype(np.float64)) ** 2).mean(axis=(1, 2, 3))
    return np.asarray(10 * np.log10(255.0**2 / np.maximum(error, 10 ** (-9.9) * 255.0**2)))


def sharpness(images: UInt8) -> float:
    """Return the mean |Laplacian| over the middle of pictures (n, 128, 128, 3), grey levels."""
    grey = images.astype(np.float32).mean(axis=-1)
    laplacian = (
        4 * grey[:, 1:-1, 1:-1]
        - grey[:, :-2, 1:-1]
        - grey[:, 2:, 1:-1]
        - grey[:, 1:-1, :-2]
        - grey[:, 1:-1, 2:]
    )
    return float(np.abs(laplacian)[:, 25:105, 30:98].mean())
