"""The `earsight-convert` command: each step on its own, and `build` for all of them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from edge import __version__
from edge.bundle import default_bundle_path, load_bundle
from edge.errors import ConfigError, EarsightError, RuntimeUnavailable, StorageError

from .corpus import command as corpus
from .detection import command as detector
from .fitting import command as fitting
from .importing import command as importing
from .parity import command as parity
from .protocols import command as protocols
from .recipe import load_recipe
from .report import command as report
from .tpu import command as tpu

GEOMETRY = "EARSIGHT_GEOMETRY"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (README, "Exit codes")."""
    # twice as fast on processors without AVX-512; TensorFlow reads both when it is imported
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    args = _parser().parse_args(argv)
    try:
        return _run(args)
    except EarsightError as error:
        print(f"earsight-convert: error: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        print(
            f"earsight-convert: error: {error.name} is not installed; run: "
            "pip install 'earsight[convert]' (TensorFlow 2.15 needs Python 3.11)",
            file=sys.stderr,
        )
        return RuntimeUnavailable.exit_code
    except BrokenPipeError:  # whoever read the output has had enough
        raise
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        print(
            f"earsight-convert: error: {name}{error.strerror or error}; "
            "make room, or give a folder that can be written",
            file=sys.stderr,
        )
        return StorageError.exit_code
    except KeyboardInterrupt:
        print("earsight-convert: stopped; the same command goes on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("earsight-convert", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str, geometry: bool = False) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--recipe", type=Path, default=Path("default"), help="file or name")
        sub.add_argument("--work", type=Path, required=True, help="folder between the steps")
        sub.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
        if geometry:
            sub.add_argument(
                "--geometry",
                type=Path,
                default=os.environ.get(GEOMETRY),
                help=f"head geometry pack (default: ${GEOMETRY}); see `earsight-convert geometry`",
            )
        return sub

    command("population", "render the synthetic people", geometry=True)
    train = command("train", "compute features and train the three networks")
    train.add_argument("--only", choices=["renderer"], help="train just the portrait renderer")
    command("quantize", "convert the trained networks to int8")
    verify = command("verify", "measure float against int8 and apply the recipe's gates")
    verify.add_argument("--bundle", type=Path, help="measure this bundle's models")
    ablation = command("ablation", "train with each part on and off, at a small scale; a table")
    ablation.add_argument("--out", type=Path, required=True, help="the table to write, .md")
    compare = command("portraits", "compare Speech2Face as published with the shipped portraits")
    compare.add_argument("--out", type=Path, required=True, help="the table to write, .md")
    shortfall = command("shortfall", "tell where points below the ideal observer are lost; a table")
    shortfall.add_argument("--out", type=Path, required=True, help="the table to write, .md")
    command("calibrate", "measure what scores mean: when a name may be given, how probable it is")
    pack = command("pack", "write the bundle and its sample gallery")
    build = command("build", "all of the above", geometry=True)
    for sub in (pack, build):
        sub.add_argument("--out", type=Path, default=default_bundle_path(), help="NAME.bundle")
    geometry = commands.add_parser(
        "geometry", help="build the head geometry pack from MakeHuman's public repositories"
    )
    for name in ("makehuman", "assets", "mpfb2"):
        geometry.add_argument(f"--{name}", type=Path, required=True, help="its checkout")
    geometry.add_argument("--out", type=Path, required=True, help="the pack to write, .npz")
    importing.add_command(commands)
    importing.add_distil(commands)
    parity.add_command(commands)
    fitting.add_command(commands)
    protocols.add_command(commands)
    report.add_command(commands, GEOMETRY)
    tpu.add_commands(commands)
    corpus.add_command(commands)
    detector.add_commands(commands, GEOMETRY)
    return parser


def _run(args: argparse.Namespace) -> int:
    if args.command == "import":
        return importing.run(args)
    if args.command == "distil":
        return importing.run_distil(args)
    if args.command == "parity":
        return parity.run(args)
    if args.command == "fit":
        return fitting.run(args)
    if args.command == "evaluate":
        return protocols.run(args)
    if args.command == "detector":
        return detector.run(args)
    if args.command == "tpu":
        return tpu.run(args)
    if args.command == "report":
        return report.run(args)
    if args.command == "embed":
        return corpus.run(args)
    from . import build as steps

    if args.command == "geometry":
        from .population.faces.assets import build_pack

        build_pack(args.makehuman, args.assets, args.mpfb2, args.out)
        return 0
    recipe = load_recipe(args.recipe)
    if args.command in ("population", "build") and args.geometry is None:
        raise ConfigError(
            f"no head geometry: give --geometry PACK.npz or set {GEOMETRY}; "
            "`earsight-convert geometry` builds it"
        )
    if args.command == "population":
        steps.make_population(recipe, args.work, Path(args.geometry), args.workers)
    elif args.command == "train":
        if args.only == "renderer":
            steps.train_renderer(recipe, args.work)
        else:
            steps.train(recipe, args.work, args.workers)
    elif args.command == "quantize":
        steps.quantize_models(recipe, args.work)
    elif args.command == "verify":
        bundle = load_bundle(args.bundle) if args.bundle else None
        steps.verify_models(recipe, args.work, bundle)
    elif args.command == "ablation":
        from .ablation import Scale, run_ablation

        args.out.write_text(run_ablation(recipe, args.work, Scale(), args.workers), "utf-8")
    elif args.command == "portraits":
        from . import portrait_comparison

        table, sheet = portrait_comparison.compare_portraits(
            recipe, args.work, portrait_comparison.Scale()
        )
        args.out.write_text(table, "utf-8")
        args.out.with_suffix(".jpg").write_bytes(sheet)
    elif args.command == "shortfall":
        from .shortfall import measure_shortfall

        args.out.write_text(measure_shortfall(recipe, args.work), "utf-8")
    elif args.command == "calibrate":
        steps.calibrate_decision(recipe, args.work)
    elif args.command == "pack":
        steps.pack_bundle(recipe, args.work, args.out)
    else:
        steps.build(recipe, args.work, Path(args.geometry), args.out, args.workers)
    return 0
