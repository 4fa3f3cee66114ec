"""The figures of both papers, computed from embeddings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge.types import Float32, UInt8

Bool = npt.NDArray[np.bool_]


def unit(x: Float32) -> Float32:
    """Scale each row to unit length."""
    length = np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
    return np.asarray(x / length, dtype=np.float32)


def matching_1_2(queries: Float32, gallery: Float32, same: Bool | None = None) -> float:
    """Return 1:2 matching accuracy over every possible triple (Shape of Sound, section 9).

    Args:
        queries: (n, d), one per person.
        gallery: (n, d) of the other modality, row i being the same person as query i.
        same: (n, n), only pairs where it is True serve as the wrong choice (same sex, ...).

    Returns:
        Share of (query, right, wrong) in which the right one is nearer; ties count half.
    """
    return matching_of_scores(unit(queries) @ unit(gallery).T, same)


def matching_of_scores(scores: Float32, same: Bool | None = None) -> float:
    """Return 1:2 matching accuracy of any scores (queries, gallery), as `matching_1_2` does."""
    right = np.diag(scores)[:, None]
    won = (right > scores) + 0.5 * (right == scores)
    allowed = ~np.eye(len(scores), dtype=bool)
    if same is not None:
        allowed &= same
    return float(won[allowed].mean())


def auc(queries: Float32, gallery: Float32) -> float:
    """Return the area under the ROC curve of same against different person, all pairs."""
    scores = unit(queries) @ unit(gallery).T
    ranks = np.argsort(np.argsort(scores, axis=None)).reshape(scores.shape) + 1.0
    n = len(scores)
    return float((np.diag(ranks).sum() - n * (n + 1) / 2) / (n * n * (n - 1)))


def mean_cosine(a: Float32, b: Float32) -> float:
    """Return the mean cosine between the rows of two arrays (n, d)."""
    return float((unit(a) * unit(b)).sum(axis=1).mean())


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
