"""The report's diagrams, each as an SVG picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge.people.person import KINDS

from ..metrics import Bool, everybody, verification
from .layers import LayerError
from .protocols import OF, Scores

COLOURS = {
    "oracle_exact": "#b8b8b8",
    "oracle": "#6f6f6f",
    "float": "#1b6ca8",
    "litert": "#d1495b",
    "tflite_runtime": "#edae49",
}
LABELS = {
    "oracle_exact": "ideal observer of sex, age and size",
    "oracle": "ideal observer of the sound",
    "float": "float",
    "litert": "int8, LiteRT",
    "tflite_runtime": "int8, tflite-runtime",
}
SHORT = {  # for the heads of tables
    "oracle_exact": "ideal, traits",
    "oracle": "ideal, sound",
    "float": "float",
    "litert": "LiteRT",
    "tflite_runtime": "tflite-runtime",
}
BLUES = ("#8ec1e6", "#1b6ca8", "#0c3352")  # from small galleries to large ones
DASHES = {"tflite_runtime": (0, (3, 2))}  # it lies on LiteRT's line


def roc(tables: Mapping[str, Scores], allowed: Mapping[str, Bool]) -> str:
    """Draw true against false acceptance, unrestricted and within a sex."""
    figure, axes = _axes(2, "wrongly accepted", "rightly accepted")
    grid = np.linspace(0.0, 1.0, 201)
    for axis, (stratum, title) in zip(axes, _TWO_STRATA, strict=True):
        beside = allowed[stratum]
        one = everybody(len(beside))
        for name, scores in tables.items():
            seen = [verification(draw, beside, one) for draw in scores.draws]
            curves = [np.interp(grid, v.accepted[::-1], 1 - v.refused[::-1]) for v in seen]
            axis.plot(grid, np.mean(curves, axis=0), **_style(name))
        axis.plot([0, 1], [0, 1], color="#cccccc", lw=0.8)
        axis.set_title(title)
    return _svg(figure)


def one_of_many(results: Mapping[str, Any]) -> str:
    """Draw 1:N matching, voice → face, over N with its confidence interval."""
    figure, axes = _axes(2, "faces to choose from", "right")
    for axis, (stratum, title) in zip(axes, _TWO_STRATA, strict=True):
        for name, leaf in results["matching_1_n"]["v2f"][stratum].items():
            members = [leaf["by"][str(n)] for n in OF]
            value, low, high = ([m[key] for m in members] for key in ("value", "low", "high"))
            axis.plot(OF, value, marker="o", ms=3, **_style(name))
            axis.fill_between(OF, low, high, color=COLOURS[name], alpha=0.12, lw=0)
        axis.plot(OF, [1 / n for n in OF], color="#cccccc", lw=0.8)
        axis.set_title(title)
        axis.set_xticks(OF)
        axis.set_ylim(0, 1)
    return _svg(figure)


def open_set(rows: Sequence[Mapping[str, Any]]) -> str:
    """Draw the detection-and-identification rate over the false-alarm rate, a panel per kind."""
    figure, axes = _axes(2, "unknown speakers named", "known speakers rightly named")
    sizes = sorted({row["people"] for row in rows})
    for axis, kind in zip(axes, KINDS, strict=True):
        for row in (row for row in rows if row["kind"] == kind):
            alarms, detected = zip(*row["curve"], strict=True)
            label = f"{row['people']} people enrolled"
            shade = BLUES[sizes.index(row["people"]) % len(BLUES)]
            axis.plot(alarms, detected, marker="o", ms=3, lw=1.4, color=shade, label=label)
        axis.axvline(rows[0]["asked"], color="#cccccc", lw=0.8)
        axis.set_xscale("log")
        axis.set_ylim(0, 1)
        axis.set_title(f"enrolled by {kind}")
    return _svg(figure)


def reliability(curves: Mapping[str, Mapping[str, Any]]) -> str:
    """Draw how often the event happened against the probability said, one panel per title."""
    figure, axes = _axes(len(curves), "P(female) said", "were women")
    for axis, (title, backends) in zip(axes, curves.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="#cccccc", lw=0.8)
        for name, curve in backends.items():
            bins = curve["bins"]
            said, happened = [b["said"] for b in bins], [b["happened"] for b in bins]
            size = [12 + 120 * b["count"] / sum(b["count"] for b in bins) for b in bins]
            axis.plot(said, happened, **_style(name))
            axis.scatter(said, happened, s=size, color=COLOURS[name], alpha=0.6, lw=0)
        axis.set_title(title)
    return _svg(figure)


def robustness(table: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Draw matching and sex for each condition; `table` is backend → condition → figures."""
    figure, axes = _axes(2, "", "", height=4.2)
    names = list(next(iter(table.values())))
    rows = np.arange(len(names))
    for axis, (key, title) in zip(
        axes,
        (("matching_1_2_v2f_U", "1:2 matching, voice → face"), ("sex_accuracy", "sex of adults")),
        strict=True,
    ):
        for shift, (name, conditions) in zip((-0.22, 0.0, 0.22), table.items(), strict=False):
            value, low, high = (
                np.array([conditions[c][key][part] for c in names])
                for part in ("value", "low", "high")
            )
            spread = [(value - low).clip(0), (high - value).clip(0)]
            axis.errorbar(
                value, rows + shift, xerr=spread, fmt="o", ms=3, lw=1, color=COLOURS[name],
                label=LABELS[name],
            )  # fmt: skip
        axis.set_yticks(rows, names)
        axis.invert_yaxis()
        axis.set_title(title)
        axis.set_xlim(0.5, 1.0)
    axes[1].set_yticklabels([])
    return _svg(figure)


def layers(errors: Mapping[str, Sequence[LayerError]]) -> str:
    """Draw the signal to quantization noise of every layer of every model."""
    known = {model: rows for model, rows in errors.items() if rows}
    longest = max((len(rows) for rows in known.values()), default=1)
    figure, axes = _axes(max(1, len(known)), "dB", "", height=0.6 + 0.145 * longest)
    for axis, (model, rows) in zip(axes, known.items(), strict=False):
        places = np.arange(len(rows))
        axis.barh(places, [row.sqnr_db for row in rows], color=COLOURS["litert"], height=0.7)
        axis.set_yticks(places, [row.layer.lower() for row in rows], fontsize=5.5)
        axis.set_ylim(longest - 0.4, -0.6)
        axis.set_title(model.replace("_", " "))
    return _svg(figure)


_TWO_STRATA = (("U", "anybody"), ("G", "of one sex"))


def _style(name: str) -> dict[str, Any]:
    return {
        "color": COLOURS[name],
        "label": LABELS[name],
        "lw": 1.4,
        "linestyle": DASHES.get(name, "-"),
    }


def _axes(count: int, x: str, y: str, height: float = 3.0) -> tuple[Any, list[Any]]:
    """Return a figure with panels side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6 * count + 0.6, height), layout="constrained")
    panels = figure.subplots(1, count, squeeze=False)[0]
    for axis in panels:
        axis.set_xlabel(x)
        axis.tick_params(labelsize=7)
        axis.grid(color="#eeeeee", lw=0.6)
        axis.set_axisbelow(True)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    panels[0].set_ylabel(y)
    return figure, list(panels)


def _svg(figure: Any) -> str:
    """Return the figure as SVG text, the same for the same figure; one legend for all panels."""
    import matplotlib

    lines, names = figure.axes[0].get_legend_handles_labels()
    if names:
        figure.legend(lines, names, loc="outside lower center", ncols=3, fontsize=7, frameon=False)
    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "earsight", "svg.fonttype": "path"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
