"""Prove earsight on ARM userland: install it as on a Pi, run it under emulation, compare with x86.

Run: make test-arm (as root, on Debian; half an hour, three gigabytes below work/arm)

Where roots cannot be made or entered it says why and succeeds. QEMU computes what the processor
would, but says nothing about speed.
"""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.arm.report import write_report
from tests.arm.roots import ROOTS, Root, what_is_missing
from tests.arm.trial import Run, try_root
from tests.arm.wheels import REPOSITORY

ALSA = Path("/usr/share/sounds/alsa/Front_Center.wav")
SHARED = REPOSITORY.parent / "shared/data/voices"


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; return 0 when all of it agrees with x86, or nothing can be run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=REPOSITORY / "work/arm")
    parser.add_argument("--report", type=Path, help="Markdown file to write")
    parser.add_argument("--voices", type=int, default=99, help="recordings to use at most")
    parser.add_argument("--interpreters", type=int, default=9, help="at most, in each root")
    parser.add_argument(
        "--result", type=Path, help=argparse.SUPPRESS
    )  # of one root: see `run_root`
    parser.add_argument("roots", nargs="*", help=f"{', '.join(r.name for r in ROOTS)} (all)")
    args = parser.parse_args(arguments)
    if reason := what_is_missing():
        print(f"skipped: {reason}")
        return 0
    chosen = [root for root in ROOTS if root.name in (args.roots or [r.name for r in ROOTS])]
    args.work.mkdir(parents=True, exist_ok=True)
    voices = [ALSA, *sorted(SHARED.rglob("*.flac"))][: args.voices]
    if args.result is not None:
        (root,) = chosen
        runs = try_root(root, args.work.resolve(), voices, args.interpreters)
        args.result.write_bytes(pickle.dumps(runs))
        return 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda root: run_root(root, args), chosen))
    runs = [run for one in found for run in one]
    faults = [fault for run in runs for fault in run.faults]
    faults += [
        f"{r.name}: not run to the end" for r, one in zip(chosen, found, strict=True) if not one
    ]
    if args.report:
        args.report.parent.mkdir(exist_ok=True)
        args.report.write_text(write_report(runs, len(voices)), encoding="utf-8")
    for run in runs:
        print(describe(run))
    for fault in faults:
        print(f"FAILED {fault}", file=sys.stderr)
    print(f"{sum(not run.faults for run in runs)} passed, {len(faults)} failed")
    return int(bool(faults))


def run_root(root: Root, args: argparse.Namespace) -> list[Run]:
    """Try one root in a process of its own, which counts its processor time; [] when it fails."""
    result = args.work.resolve() / f"result-{root.name}"
    result.unlink(missing_ok=True)
    subprocess.run(
        [sys.executable, "-m", "tests.arm.run", "--work", args.work, "--voices", str(args.voices),
         "--interpreters", str(args.interpreters), "--result", result, root.name],
        cwd=REPOSITORY, check=False,
    )  # fmt: skip
    runs: list[Run] = pickle.loads(result.read_bytes()) if result.exists() else []
    return runs


def describe(run: Run) -> str:
    """Return a line for a person who waits."""
    found, difference = run.found, run.difference
    return (
        f"{run.root.name}: Python {found['python']}, NumPy {found['numpy']}, {found['runtime']}: "
        f"{difference.utterances} utterances, cosine at least {difference.least_cosine:.4f}, "
        f"{difference.rankings_alike} rankings alike; hear: {run.hear}; doctor: {run.doctor}; "
        f"captured: {run.likeness}; {run.took.elapsed_s:.0f} s, "
        f"{run.took.cpu_s:.0f} s of processor time"
    )


if __name__ == "__main__":
    sys.exit(main())
