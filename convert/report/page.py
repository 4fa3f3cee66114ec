"""The report as files: one self-contained HTML page, and the same figures as JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.storage import write_private
from edge.types import UInt8

from ..metrics import Index
from ..population.law import Person
from . import figures
from .bootstrap import plain
from .evidence import ORACLES, Evidence
from .layers import LayerError
from .people import HeardAndSeen
from .real_voices import RealHeard, RealVoices
from .sheets import Column, contact_sheet

TEMPLATE = "page.html"
SHOWN, EXTREMES, REAL_SHOWN = 16, 8, 16  # people on each sheet
SEED = 2112


@dataclass(frozen=True, slots=True)
class Illustrations:
    """What the pictures of the page are made from."""

    evidence: Evidence
    people: HeardAndSeen
    layers: Mapping[str, list[LayerError]]
    heard: Mapping[str, RealHeard]  # by backend; empty without real voices
    known: RealVoices | None


def write_report(folder: Path, content: Mapping[str, Any], shown: Illustrations) -> dict[str, Any]:
    """Write `report.json` and `report.html` (0600) into a folder; return the JSON's content.

    Raises:
        StorageError: the disk refused.
    """
    report: dict[str, Any] = plain(content)
    write_private(folder / "report.json", (json.dumps(report, indent=1) + "\n").encode())
    write_private(folder / "report.html", page(report, pictures(report, shown)).encode())
    return report


def page(report: Mapping[str, Any], images: Mapping[str, str]) -> str:
    """Return the HTML page.

    Args:
        report: what `report.json` holds.
        images: name → data URI.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    measured = [name for name, of in report["backends"].items() if "version" in of]
    return environment.get_template(TEMPLATE).render(
        **report, images=images, measured=measured, oracles=ORACLES, labels=figures.SHORT
    )


def pictures(report: Mapping[str, Any], shown: Illustrations) -> dict[str, str]:
    """Return every picture of the page as a data URI, by name."""
    evidence = shown.evidence
    curves = {"synthetic adults": report["calibration"]}
    images = {
        "roc": _svg(figures.roc(evidence.scores, evidence.allowed)),
        "one_of_many": _svg(figures.one_of_many(report["results"])),
        "robustness": _svg(figures.robustness(report["robustness"])),
        "layers": _svg(figures.layers(shown.layers)),
    }
    if report["open_set"]:
        images["open_set"] = _svg(figures.open_set(report["open_set"]["rows"]))
    if report["real_voices"]:
        real = {n: f["reliability"] for n, f in report["real_voices"].items()}
        curves["real voices"] = real
    images["reliability"] = _svg(figures.reliability(curves))
    for name, sheet in _sheets(shown).items():
        images[name] = "data:image/jpeg;base64," + base64.b64encode(sheet).decode()
    return images


def _sheets(shown: Illustrations) -> dict[str, bytes]:
    n = len(shown.people.people)
    rng = np.random.default_rng(SEED)
    some = rng.choice(n, min(SHOWN, n), replace=False)
    wins = _wins(shown.evidence)
    order = wins.argsort(kind="stable")
    sheets = {
        "contact": _sheet(shown, some, wins),
        "best": _sheet(shown, order[::-1][:EXTREMES], wins),
        "worst": _sheet(shown, order[:EXTREMES], wins),
    }
    if shown.known is not None:
        sheets["real"] = _real_sheet(shown.heard, shown.known)
    return sheets


def _wins(evidence: Evidence) -> Any:
    """Return the share of wrong faces that lie behind the right one, (n,), for the first int8."""
    _, name = _two(evidence.seen)
    shares = [
        (np.diag(s)[:, None] > s).sum(axis=1) / (len(s) - 1) for s in evidence.scores[name].draws
    ]
    return np.mean(shares, axis=0)


def _sheet(shown: Illustrations, chosen: Index, wins: Any) -> bytes:
    """Draw people: true face, the typical face with their sex, age and size, and the portraits."""
    evidence = shown.evidence
    rows: dict[str, UInt8] = {
        "true face": shown.people.canonical,
        "its type": evidence.typical,
        **{figures.SHORT[name]: evidence.seen[name].portraits for name in _two(evidence.seen)},
    }
    columns = [
        Column(
            tuple(images[i] for images in rows.values()),
            (_who(evidence.truth.people[i]), f"before {100 * wins[i]:.0f} %"),
        )
        for i in chosen
    ]
    return contact_sheet(list(rows), columns)


def _real_sheet(heard: Mapping[str, RealHeard], known: RealVoices) -> bytes:
    """Draw the portraits of some real recordings, spread over the speakers."""
    count = len(known.source)
    chosen = np.linspace(0, count - 1, min(REAL_SHOWN, count)).astype(int)
    shown = {name: heard[name] for name in _two(heard)}
    first = heard["float"]
    columns = [
        Column(
            tuple(h.portraits[i] for h in shown.values()),
            (
                f"{known.names[known.speaker[i]]}, {'woman' if known.female[i] else 'man'}",
                f"P(female) {first.female[i]:.2f}",
            ),
        )
        for i in chosen
    ]
    return contact_sheet([figures.SHORT[name] for name in shown], columns)


def _who(person: Person) -> str:
    grown = ("man", "woman") if person.years >= 18 else ("boy", "girl")
    return f"{grown[not person.male]}, {person.years:.0f}"


def _two(backends: Iterable[str]) -> tuple[str, str]:
    """Return float and the first runtime, which are shown beside each other."""
    return "float", next(name for name in backends if name != "float")


def _svg(text: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()
