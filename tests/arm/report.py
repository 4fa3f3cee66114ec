"""Writes docs/arm.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tests.arm.compare import LEAST_COSINE, NEAR_TIE, SHARE, TRAITS

if TYPE_CHECKING:
    from tests.arm.compare import Difference
    from tests.arm.trial import Cost, Run

HEAD = """\
# ARM userland

Made by `make test-arm`: Debian roots for ARM, unpacked by mmdebstrap and run under QEMU's user
mode, without a network. **No board was at hand.** QEMU computes what the processor would; how fast
a Raspberry Pi is, its sound hardware and its kernel are not shown by any of this.

On 64 bits earsight is installed as on a Pi, by `install.sh` from a signed stick made for that
processor and Python. For 32 bits there are no wheels of NumPy, Pillow and cffi, which are Debian's
here, nor of {sources}, which are compiled for it. The sheet that
`--out` draws needs a later Pillow than that, and is drawn on 64 bits only.

The reference is the same interpreter on x86-64 with the same {recordings} recordings: ALSA's
"Front, Center" and, where they are at hand, readers of LibriSpeech. int8 kernels may round
otherwise on ARM, so embeddings must agree to a cosine of {cosine}, traits to what they are worth
(probabilities to {trait}, other values to {share:.0%}), and the ranking of the sample gallery in
its order; two faces whose scores differ by less than {tie} may stand either way. "Alike" counts
the utterances in which none stands otherwise; "others by", how far apart in score those stood
that changed places.

The first root with LiteRT and two recordings is part of CI (`CI=true pytest tests/test_arm.py`):
unpacked, installed and run from nothing it took 128 s of processor time, and 311 s in all on two
cores under a load of 13. The rest takes too long for that, as the last table shows; so it is run
by hand, and this report committed. Elapsed times count whatever else the machine did.
"""


def write_report(runs: Sequence[Run], recordings: int) -> str:
    """Return the Markdown."""
    head = HEAD.format(
        cosine=LEAST_COSINE,
        tie=NEAR_TIE,
        trait=TRAITS["female"],
        share=SHARE,
        recordings=recordings,
        sources=" and ".join(sorted({name for run in runs for name in run.root.sources}))
        or "others",
    )
    return "\n".join([head, *_table(runs), "", *_details(runs), *_processor_time(runs), ""])


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
            f"| {d.best_alike} alike | {_rankings(d)} | {d.least_psnr:.1f} |"
        )


def _rankings(d: Difference) -> str:
    alike = f"{d.rankings_alike} alike"
    return alike if not d.overtaken else f"{alike}, others by {d.overtaken:.4f}"


def _details(runs: Sequence[Run]) -> Iterator[str]:
    for run in runs:
        traits = ", ".join(f"{k} {v:.3g}" for k, v in run.difference.largest_trait.items())
        captured = "not tried" if run.likeness is None else f"{run.likeness:.4f}"
        yield f"**{run.root.name}, {run.found['runtime']}**"
        yield ""
        yield f"- imports: {', '.join(run.found['budget'])}"
        yield f"- golden features equal: {run.found['golden']}"
        yield f"- largest difference of traits: {traits}"
        yield f"- `earsight hear --json`, exit code and utterances: {run.hear}"
        yield f"- captured from this machine's sound server, correlation: {captured}"
        yield f"- `earsight doctor --quick`, where no microphone is: {run.doctor}"
        yield f"- faults: {'; '.join(run.faults) or 'none'}"
        yield ""


def _processor_time(runs: Sequence[Run]) -> Iterator[str]:
    """Yield what it costs, which says whether it can be part of `make test`."""
    yield "| root, interpreter | processor time, s | elapsed, s |"
    yield "| --- | --- | --- |"
    for before, run in zip((None, *runs), runs, strict=False):
        name = run.root.name
        if before is None or before.root is not run.root:
            yield f"| {name}: unpacked unless it was there, installed | {_cost(run.made)} |"
        yield f"| {name}, {run.found['runtime']}: all of the above | {_cost(run.took)} |"


def _cost(cost: Cost) -> str:
    return f"{cost.cpu_s:.0f} | {cost.elapsed_s:.0f}"
