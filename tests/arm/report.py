"""Writes docs/arm.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tests.arm.compare import LEAST_COSINE, NEAR_TIE

if TYPE_CHECKING:
    from tests.arm.run import Run

HEAD = """\
# ARM userland

Made by `make test-arm`: Debian roots for ARM, unpacked by mmdebstrap and run under QEMU's user
mode. earsight is installed there from a signed stick, without a network. No board was at hand: QEMU
computes what the processor would, but nothing here says how fast a Raspberry Pi is.

The reference is the same interpreter on x86-64 with the same sounds. int8 kernels round differently
on ARM, so embeddings must agree to a cosine of {cosine}, traits to what they are worth, and the
ranking of the sample gallery in its order; two faces whose scores differ by less than {tie} may
stand either way.
"""


def write_report(runs: Sequence[Run], recordings: int) -> str:
    """Return the Markdown."""
    return "\n".join(
        [
            HEAD.format(cosine=LEAST_COSINE, tie=NEAR_TIE),
            f"{recordings} recordings of real voices.",
            "",
            *_table(runs),
            "",
            *_details(runs),
            "",
        ]
    )


def _table(runs: Sequence[Run]) -> Iterator[str]:
    columns = "root", "Python, NumPy", "interpreter", "utterances", "cosine, least", "mean"
    columns += "best face", "five best", "portrait, dB"
    yield f"| {' | '.join(columns)} |"
    yield "| --- " * len(columns) + "|"
    for run in runs:
        d, found = run.difference, run.found
        yield (
            f"| {run.root.name} | {found['python']}, {found['numpy']} | {found['runtime']} "
            f"| {d.utterances} | {d.least_cosine:.4f} | {d.mean_cosine:.4f} "
            f"| {d.best_alike} alike | {d.rankings_alike} alike | {d.least_psnr:.1f} |"
        )


def _details(runs: Sequence[Run]) -> Iterator[str]:
    for run in runs:
        traits = ", ".join(f"{k} {v:.3g}" for k, v in run.difference.largest_trait.items())
        captured = "not tried" if run.likeness is None else f"{run.likeness:.4f}"
        yield f"**{run.root.name}, {run.found['runtime']}**"
        yield ""
        yield f"- imports: {', '.join(run.found['budget'])}"
        yield f"- golden features equal: {run.found['golden']}"
        yield f"- largest difference of traits: {traits}"
        yield f"- `earsight hear`: {run.hear}"
        yield f"- captured from this machine's sound server, correlation: {captured}"
        yield f"- `earsight doctor --quick`: {run.doctor}"
        yield f"- faults: {'; '.join(run.faults) or 'none'}"
        yield ""
