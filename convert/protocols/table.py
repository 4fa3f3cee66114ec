"""The paper's table: what was measured beside what was published and what guessing reaches."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .lists import ListFile
from .measure import Figure

# Seeking the Shape of Sound, README of the released code (papers' page, section 10), on the test
# lists; in percent. Matching and verification of anybody (U) and of one gender (G).
PUBLISHED: Mapping[tuple[str, str, str], float] = {
    ("matching 1:2", "v2f", "U"): 87.2, ("matching 1:2", "v2f", "G"): 77.7,
    ("matching 1:2", "f2v", "U"): 86.5, ("matching 1:2", "f2v", "G"): 75.3,
    ("verification AUC", "v2f", "U"): 87.2, ("verification AUC", "v2f", "G"): 77.5,
    ("verification AUC", "f2v", "U"): 87.0, ("verification AUC", "f2v", "G"): 76.1,
    ("retrieval mAP", "v2f", "U"): 5.5, ("retrieval mAP", "f2v", "U"): 5.8,
}  # fmt: skip
PUBLISHED_SPLIT = "test"
ARROWS = {"v2f": "voice → face", "f2v": "face → voice"}


def metric_of(listed: ListFile) -> str:
    """Return what a list measures, as the table calls it."""
    if listed.task == "match":
        return f"matching 1:{listed.of}"
    return "verification AUC" if listed.task == "verify" else "retrieval mAP"


def published(listed: ListFile) -> float | None:
    """Return the published figure of a list in percent; none of another split than test."""
    if listed.split != PUBLISHED_SPLIT:
        return None
    return PUBLISHED.get((metric_of(listed), listed.direction, listed.stratum))


def markdown(
    figures: Sequence[Figure], title: str, missing: Sequence[str], shown: int | None = None
) -> str:
    """Return the table as Markdown.

    Args:
        figures: one for each list.
        title: what was measured.
        missing: what is not in it, a line each.
        shown: how many of those lines at most; None for all.
    """
    return "\n".join(_lines(figures, title, missing, shown)) + "\n"


def as_json(
    figures: Sequence[Figure], bundle: Mapping[str, str], missing: Mapping[str, str]
) -> str:
    """Return the table as JSON; values are shares, 0..1, and not percent."""
    rows: list[dict[str, Any]] = []
    for figure in figures:
        known = published(figure.listed)
        rows.append(
            {
                "metric": metric_of(figure.listed),
                "direction": figure.listed.direction,
                "stratum": figure.listed.stratum,
                "list": figure.listed.path.name,
                "value": round(figure.value, 6),
                "published": None if known is None else round(known / 100, 4),
                "chance": round(figure.chance, 6),
                "counted": figure.counted,
                "skipped": figure.skipped,
            }
        )
    tree = {"bundle": dict(bundle), "figures": rows, "missing": dict(missing)}
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def _lines(
    figures: Sequence[Figure], title: str, missing: Sequence[str], shown: int | None
) -> Iterator[str]:
    yield f"{title}, percent; U: candidates of either gender, G: of the anchor's own."
    yield ""
    yield "| metric | direction | | measured | published | chance | counted | left out |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for figure in figures:
        listed, known = figure.listed, published(figure.listed)
        cells = [
            metric_of(listed), ARROWS[listed.direction], listed.stratum,
            f"{100 * figure.value:.1f}", "–" if known is None else f"{known:.1f}",
            f"{100 * figure.chance:.1f}", str(figure.counted), str(figure.skipped),
        ]  # fmt: skip
        yield f"| {' | '.join(cells)} |"
    if missing:
        yield ""
        yield f"Left out, {len(missing)} files missing or damaged:"
        yield ""
        yield from (f"- {line}" for line in missing[:shown])
        if shown is not None and len(missing) > shown:
            yield f"- and {len(missing) - shown} more"
