"""The `earsight-convert tpu` commands: their arguments, and what they print."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

RUNTIMES = range(10, 15)

CHECK = """\
Predict what the Edge TPU compiler will make of a model, or of a bundle's models compiled together:
which operations run on the Edge TPU, which one ends the run, whether the parameters fit, and what
to change. Ends with 1 when something is expected to stay on the CPU.
"""
COMPILE = """\
Run edgetpu_compiler on a bundle's models, all in one call, so that they share the memory on the
chip, and write the bundle with both files of each model. Ends with 10 where there is no compiler.
"""


def add_commands(commands: Commands) -> None:
    """Add `tpu` and what comes after it."""
    tpu = commands.add_parser("tpu", help="check and compile models for a Coral Edge TPU")
    actions = tpu.add_subparsers(dest="action", required=True, metavar="check|compile")
    check = actions.add_parser("check", help="before the compiler", description=CHECK)
    check.add_argument("what", type=Path, metavar="MODEL|BUNDLE", help="a .tflite, or NAME.bundle")
    check.add_argument(
        "--min-runtime", type=int, choices=RUNTIMES, default=RUNTIMES[-1], metavar="10..14",
        help="RuntimeVersion of the libedgetpu to compile for (14)",
    )  # fmt: skip
    check.add_argument("--json", action="store_true", help="every operation, as JSON")
    compile_ = actions.add_parser("compile", help="run the compiler", description=COMPILE)
    compile_.add_argument("bundle", type=Path, metavar="BUNDLE", help="NAME.bundle")
    compile_.add_argument("--out", type=Path, metavar="PATH", help="bundle to write (the same)")
    compile_.add_argument("--compiler", type=Path, metavar="FILE", help="edgetpu_compiler itself")
    compile_.add_argument(
        "--container", default="", metavar="IMAGE", help="run it in podman, docker"
    )
    compile_.add_argument(
        "--min-mapped", type=float, default=100.0, metavar="PERCENT",
        help="of each model's operations that must run on the Edge TPU (100)",
    )  # fmt: skip
    compile_.add_argument(
        "--min-runtime", type=int, choices=RUNTIMES, metavar="10..14",
        help="RuntimeVersion of the libedgetpu to compile for (14)",
    )  # fmt: skip
    compile_.add_argument(
        "--search", action="store_true", help="cut a model earlier and earlier until it compiles"
    )
    compile_.add_argument(
        "--timeout", type=int, default=300, metavar="SECONDS", help="for one attempt (300)"
    )


def run(args: argparse.Namespace) -> int:
    """Carry out one command; return its exit code."""
    return _check(args) if args.action == "check" else _compile(args)


def _check(args: argparse.Namespace) -> int:
    from .check import check, read_models
    from .report import as_json, describe

    found = check(read_models(args.what), args.min_runtime)
    if args.json:
        print(json.dumps(as_json(found), indent=2))
    else:
        print(*describe(found), sep="\n")
    return int(not found.whole)


def _compile(args: argparse.Namespace) -> int:
    from edge.accelerator.delegate import EDGETPU
    from edge.bundle import load_bundle

    from .compile import compile_bundle
    from .compiler import CompilerOptions

    options = CompilerOptions(
        args.compiler, args.container, args.timeout, args.min_runtime, args.search
    )
    out = args.out or args.bundle
    made = compile_bundle(load_bundle(args.bundle), out, options, args.min_mapped / 100)
    compiled = made.manifest.compiled[EDGETPU]
    for name in compiled.order:
        print(f"{name}: {100 * compiled.mapped[name]:.0f} % on the Edge TPU")
    print(f"{out}: both files of each model, by edgetpu_compiler {compiled.compiler}")
    return 0
