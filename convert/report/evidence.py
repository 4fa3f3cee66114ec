"""Everything that was observed, and the sections of `report.json` made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.manifest import TraitInfo
from edge.types import UInt8

from ..backends import RUNTIMES
from ..metrics import Bool, Float64, mean_cosine, psnr_db, sharpness
from ..recipe import GatesRecipe
from ..verify import DRAWS
from . import portraits
from .bootstrap import plain
from .calibration import probability, reliability
from .landmarks import PUBLISHED
from .observe import Observed
from .portraits import ADULT, Truth
from .protocols import DIRECTIONS, Results, Scores, chance, evaluate
from .reader import Read
from .robustness import robustness
from .speech2face import durations

ORACLES = ("oracle_exact", "oracle")
OWN, TYPE = "true_face", "typical"  # what the reader makes of people's own faces, of their types


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the tables are computed from."""

    seen: Mapping[str, Observed]  # by backend
    scores: Mapping[str, Scores]  # by backend, and of the ideal observers
    allowed: Mapping[str, Bool]  # by stratum
    weights: Float64  # resamples of people
    read: Mapping[str, Read]  # of each backend's portraits, and of OWN and TYPE
    androgynous: Read  # of typical renderings without a sex: how well the reader knows them
    truth: Truth
    typical: UInt8  # (n, 128, 128, 3), the rendering nearest to each person
    traits: Mapping[str, TraitInfo]


def sections(evidence: Evidence, gates: GatesRecipe) -> dict[str, Any]:
    """Return the sections that every report has, ready for JSON."""
    results = evaluate(evidence.scores, evidence.allowed, evidence.weights)
    lost = quantization(evidence, results)
    people = evidence.truth.people
    return plain(  # type: ignore[no-any-return]
        {
            "results": results,
            "chance": chance(evidence.scores, evidence.allowed),
            "quantization": lost,
            "gates": judged(results, lost, gates),
            "speech2face": speech2face(evidence),
            "portraits": portrait_checks(evidence),
            "robustness": {
                name: robustness(seen, people, evidence.allowed, evidence.weights)
                for name, seen in evidence.seen.items()
            },
            "calibration": calibration(evidence),
        }
    )


def quantization(evidence: Evidence, results: Results) -> dict[str, dict[str, float]]:
    """Return how far each runtime lies from float, and both runtimes from each other."""
    exact = evidence.seen["float"]
    table: dict[str, dict[str, float]] = {}
    for name in (n for n in evidence.seen if n != "float"):
        int8 = evidence.seen[name]
        psnr = psnr_db(exact.portraits, int8.portraits)
        table[name] = {
            "cosine_voice": min(
                mean_cosine(exact.voices[v].embedding, int8.voices[v].embedding)
                for v in (f"draw {k}" for k in range(DRAWS))
            ),
            "cosine_face": mean_cosine(exact.faces, int8.faces),
            "portrait_psnr_db": float(psnr.mean()),
            "portrait_psnr_db_p5": float(np.percentile(psnr, 5)),
            "matching_loss": max(_loss(results, "matching_1_2", name)),
            "auc_loss": max(_loss(results, "auc", name)),
        }
    both = [results["matching_1_2"][d][s] for d in DIRECTIONS for s in evidence.allowed]
    if all(name in evidence.seen for name in RUNTIMES):
        first, second = RUNTIMES
        apart = [abs(row[first]["value"] - row[second]["value"]) for row in both]
        table["runtimes"] = {"difference": max(apart)}
    return table


def judged(
    results: Results, lost: Mapping[str, Mapping[str, float]], gates: GatesRecipe
) -> list[dict[str, Any]]:
    """Return each of the recipe's gates with what was measured."""
    rows: list[tuple[str, str, float, float, bool]] = []
    for name, row in lost.items():
        if name == "runtimes":
            apart = row["difference"]
            most = gates.runtimes_difference
            rows.append(("runtimes apart in 1:2 matching", "", apart, most, False))
            continue
        reached = results["matching_1_2"]["v2f"]["U"][name]["value"]
        rows += [
            ("1:2 matching", name, reached, gates.matching_1_2, True),
            ("1:2 matching lost", name, row["matching_loss"], gates.int8_matching_loss, False),
            ("cosine of voices", name, row["cosine_voice"], gates.cosine, True),
            ("cosine of faces", name, row["cosine_face"], gates.cosine, True),
            ("PSNR of portraits, dB", name, row["portrait_psnr_db"], gates.portrait_psnr_db, True),
        ]
        rows.append(("AUC lost", name, row["auc_loss"], gates.int8_auc_loss, False))
    return [
        {
            "what": what,
            "backend": backend,
            "measured": value,
            "gate": gate,
            "at": "least" if least else "most",
            "reached": value >= gate if least else value <= gate,
        }
        for what, backend, value, gate, least in rows
    ]


def speech2face(evidence: Evidence) -> dict[str, Any]:
    """Return Speech2Face's tables."""
    truth, weights = evidence.truth, evidence.weights
    read = {
        name: portraits.what_is_read(found, truth.people, weights)
        for name, found in evidence.read.items()
    }
    table: dict[str, Any] = {
        "durations": {
            n: durations(seen, evidence.allowed, weights) for n, seen in evidence.seen.items()
        },
        "read": read,
        "sexes": portraits.SEXES,
        "bands": portraits.BAND_NAMES,
    }
    true = truth.points
    drawn = next(iter(evidence.read.values())).points
    if true is None or drawn is None:
        table["craniofacial"] = None
        return table
    table["craniofacial"] = {
        **{n: portraits.craniofacial(r.points, true, weights) for n, r in evidence.read.items()},
        TYPE: portraits.craniofacial(truth.typical_points, true, weights),
        "chance": portraits.craniofacial_chance(drawn, true),
        "published": PUBLISHED,
    }
    return table


def portrait_checks(evidence: Evidence) -> dict[str, Any]:
    """Return sharpness, whom the portraits fit, and the androgynous ones."""
    female = evidence.traits["female"]
    seen, read = evidence.seen, evidence.read
    typical = sharpness(evidence.typical)
    sharp = {name: sharpness(found.portraits) for name, found in seen.items()}
    return {
        "sharpness": {**sharp, "typical": typical},
        "sharpness_share": {name: value / typical for name, value in sharp.items()},
        "matching": {
            n: portraits.matched(s, evidence.allowed, evidence.weights) for n, s in seen.items()
        },
        "androgyny": {n: portraits.androgyny(s, read[n], female) for n, s in seen.items()},
        "androgynous_types_read": float(portraits.undecided(evidence.androgynous).mean()),
    }


def calibration(evidence: Evidence) -> dict[str, Any]:
    """Return the reliability of P(female) on the synthetic adults, one clean clip each."""
    adult = np.array([p.years >= ADULT for p in evidence.truth.people])
    women = np.array([not p.male for p in evidence.truth.people])[adult]
    rows = np.arange(len(women))
    weights = evidence.weights[:, adult]
    return {
        name: reliability(
            probability(evidence.traits["female"], seen.voices["draw 0"].traits["female"])[adult],
            women,
            rows,
            weights,
        )
        for name, seen in evidence.seen.items()
    }


def _loss(results: Results, metric: str, backend: str) -> list[float]:
    """Return float minus int8, unrestricted, in both directions."""
    rows = [results[metric][direction]["U"] for direction in DIRECTIONS]
    return [row["float"]["value"] - row[backend]["value"] for row in rows]
