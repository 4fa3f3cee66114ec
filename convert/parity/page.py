"""The parity report: one Markdown page, with its pictures beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge.storage import write_private
from edge.types import UInt8

from ..report import figures
from ..report.sheets import Column, contact_sheet
from .compare import NetworkParity
from .separation import Separation

WORST = 5  # layers named
AMPLIFIED = 8  # the difference of two portraits, so that it can be seen


def write_page(
    out: Path, title: str, about: str, command: str, networks: Sequence[NetworkParity]
) -> None:
    """Write `out` (.md) and `out` with another suffix for every picture.

    Args:
        out: NAME.md.
        title: of the page.
        about: one paragraph: what was compared.
        command: that makes the page.
        networks: what was found.
    """
    lines = [f"# {title}", "", about, "", f"Made by `{command}`.", ""]
    for network in networks:
        lines += [f"## {network.role.replace('_', ' ').capitalize()}", "", *_table(network), ""]
        if network.distances:
            lines += [*_distances(network), ""]
        if network.people:
            lines += [*_people(network.people), ""]
        if network.layers:
            name = f"{out.stem}.{network.role}.svg"
            picture = figures.layers({network.role: network.layers})
            write_private(out.with_name(name), picture.encode())
            lines += [*_layers(network), "", f"![int8 noise of every layer]({name})", ""]
        if network.portraits:
            name = f"{out.stem}.{network.role}.jpg"
            write_private(out.with_name(name), _portraits(*network.portraits))
            caption = f"float, int8 and {AMPLIFIED} times their difference"
            lines += [f"![{caption}]({name})", "", f"From top to bottom: {caption}.", ""]
    write_private(out, "\n".join(lines).encode())
    for path in [out, *out.parent.glob(f"{out.stem}.*")]:
        path.chmod(0o644)  # figures of networks, nobody's data


def _table(network: NetworkParity) -> list[str]:
    rows = [
        ("parameters", f"{network.parameters:,}"),
        ("multiply-accumulates", f"{network.macs / 1e6:,.1f} million"),
        ("size in float", f"{network.float_bytes / 1e6:.2f} MB"),
        ("size in int8, tail included", f"{network.int8_bytes / 1e6:.2f} MB"),
        ("operators", ", ".join(f"{n} v{v}" for n, v in network.operators.items())),
        ("calibrated on", network.samples),
    ]
    labels = {
        "cosine": "cosine of int8 and float, mean", "cosine_min": "the same, worst",
        "psnr_db": "PSNR of int8 against float, mean, dB", "psnr_db_min": "the same, worst",
    }  # fmt: skip
    rows += [(labels[n], f"{v:.4f} ({network.inputs} inputs)") for n, v in network.figures.items()]
    return ["| what | |", "| --- | --- |", *(f"| {a} | {b} |" for a, b in rows)]


def _distances(network: NetworkParity) -> list[str]:
    rows = [f"| `{row.layer}` | {row.relative:.1e} |" for row in network.distances]
    return [
        "Keras in float against the original, relative error of each layer's output:",
        "",
        "| layer | relative error |",
        "| --- | --- |",
        *rows,
    ]


def _people(people: tuple[Separation, Separation]) -> list[str]:
    in_float, in_int8 = people
    rows = [
        f"| {name} | {s.same:.4f} | {s.different:.4f} | {s.gap:.4f} | {s.rank_1:.3f} |"
        for name, s in (("float", in_float), ("int8", in_int8))
    ]
    return [
        "| people | same | different | gap | rank-1 |",
        "| --- | --- | --- | --- | --- |",
        *rows,
        "",
        f"int8 loses {in_float.gap - in_int8.gap:+.4f} of the gap between the mean cosine of two "
        "inputs of one person and that of two people.",
    ]


def _layers(network: NetworkParity) -> list[str]:
    worst = sorted(network.layers, key=lambda row: row.sqnr_db)[:WORST]
    named = ", ".join(f"{row.layer.lower()} ({row.sqnr_db:.1f} dB)" for row in worst)
    return [f"Signal to quantization noise of every int8 layer; the least: {named}."]


def _portraits(in_float: UInt8, in_int8: UInt8) -> bytes:
    distance = np.abs(in_float.astype(np.int16) - in_int8.astype(np.int16)) * AMPLIFIED
    difference = np.clip(distance, 0, 255).astype(np.uint8)
    columns = [Column((a, b, c), ()) for a, b, c in zip(in_float, in_int8, difference, strict=True)]
    return contact_sheet(("float", "int8", "difference"), columns)
