"""Whether an ARM machine heard what x86 heard, and by how much they differ."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

LEAST_COSINE = 0.98  # int8 kernels round differently on ARM: measured, a few steps
NEAR_TIE = 0.01  # cosine between two faces closer than which their order says nothing
BOUND = 512  # samples by which a bound of an utterance may move: one step of the detector
# what a trait may differ by and still say the same: its own unit, or a share of its value
TRAITS = {"female": 0.1, "child": 0.1}
SHARE = 0.06


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one run is from the reference."""

    utterances: int
    least_cosine: float  # of the embeddings
    mean_cosine: float
    best_alike: int  # utterances whose best face is the same
    rankings_alike: int  # utterances whose five best faces are the same, in order
    overtaken: float  # largest score by which a face stands behind one that it was before
    largest_trait: Mapping[str, float]  # trait → largest absolute difference
    least_psnr: float  # of the portraits, dB
    faults: tuple[str, ...]  # what must not differ, and does


def compare(reference: Mapping[str, Any], found: Mapping[str, Any]) -> Difference:
    """Compare two answers of `probe.py look`."""
    faults = [f"{key} differs" for key in ("bundle",) if reference[key] != found[key]]
    faults += [
        f"{key}: {found[key]}" for key in ("golden", "fingerprint") if found[key] is not True
    ]
    if found["budget"] != ["edge", "numpy"]:
        faults.append(f"importing loads {found['budget']}")
    pairs: list[tuple[str, Any, Any]] = []
    for name, ours in reference["voices"].items():
        theirs = found["voices"].get(name, [])
        if len(ours) != len(theirs):
            faults.append(f"{name}: {len(theirs)} utterances, not {len(ours)}")
        pairs += [(f"{name}:{i}", a, b) for i, (a, b) in enumerate(zip(ours, theirs, strict=False))]
    cosines = [float(np.dot(a["embedding"], b["embedding"])) for _, a, b in pairs]
    for (name, a, b), cosine in zip(pairs, cosines, strict=True):
        faults += [f"{name}: {fault}" for fault in _faults(a, b, cosine)]
    return Difference(
        utterances=len(pairs),
        least_cosine=min(cosines, default=0.0),
        mean_cosine=float(np.mean(cosines)) if cosines else 0.0,
        best_alike=sum(_ids(a)[0] == _ids(b)[0] for _, a, b in pairs),
        rankings_alike=sum(_ids(a) == _ids(b) for _, a, b in pairs),
        overtaken=max((_overtaken(a["ranking"], b["ranking"]) for _, a, b in pairs), default=0.0),
        largest_trait=_largest(pairs),
        least_psnr=min((_psnr(a["portrait"], b["portrait"]) for _, a, b in pairs), default=0.0),
        faults=tuple(faults),
    )


def _faults(ours: Any, theirs: Any, cosine: float) -> Iterator[str]:
    if cosine < LEAST_COSINE:
        yield f"cosine {cosine:.4f}"
    for bound in ("start", "end"):
        if abs(ours[bound] - theirs[bound]) > BOUND:
            yield f"{bound} at {theirs[bound]}, not {ours[bound]}"
    for trait, value in _numbers(ours["traits"]).items():
        allowed = TRAITS.get(trait, SHARE * abs(value))
        if not abs(_numbers(theirs["traits"])[trait] - value) <= allowed:
            yield f"{trait} {_numbers(theirs['traits'])[trait]}, not {value}"
    if not _same_order(ours["ranking"], theirs["ranking"]):
        yield f"ranking {_ids(theirs)}, not {_ids(ours)}"


def _same_order(ours: Any, theirs: Any) -> bool:
    """Tell whether two rankings agree: faces nearer than NEAR_TIE may stand in either order."""
    best = dict(ours).get(theirs[0][0], ours[-1][1])
    return _overtaken(ours, theirs) <= NEAR_TIE and abs(best - ours[0][1]) <= NEAR_TIE


def _overtaken(ours: Any, theirs: Any) -> float:
    """Return the largest step upwards of our scores in their order."""
    scores, last = dict(ours), ours[-1][1]
    values = [scores.get(face, last) for face, _ in theirs]
    return max([0.0, *(b - a for a, b in itertools.pairwise(values))])


def _ids(heard: Any) -> list[str]:
    return [face for face, _ in heard["ranking"]]


def _numbers(traits: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in traits.items() if isinstance(value, int | float)}


def _largest(pairs: list[tuple[str, Any, Any]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for _, a, b in pairs:
        other = _numbers(b["traits"])
        for name, value in _numbers(a["traits"]).items():
            found[name] = max(found.get(name, 0.0), abs(value - other[name]))
    return found


def _psnr(ours: str, theirs: str) -> float:
    """Return the likeness of two portraits in dB; 99 when they are the same."""
    a, b = (
        np.frombuffer(base64.b64decode(text), np.uint8).astype(float) for text in (ours, theirs)
    )
    error = float(np.mean((a - b) ** 2))
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))
