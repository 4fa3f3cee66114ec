"""The `earsight-convert import` command: its arguments, and what it prints."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import ConfigError

if TYPE_CHECKING:
    from .steps import Options, Source

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

IMPORT = """\
Read a checkpoint trained elsewhere, fill the network it belongs to, convert it to int8, measure
int8 against float, and write a bundle, or with --out FOLDER only the models. Nothing in the file is
executed. Layouts: shape-of-sound, resnetse34l, speech2face-voice, speech2face-decoder, x-vector,
mobilefacenet, celeba-decoder, association-heads; voice, face and portrait for a whole network in a
.keras or .h5 file, a SavedModel folder or an .onnx file.
"""


def add_command(commands: Commands) -> None:
    """Add `import`."""
    command = commands.add_parser(
        "import", help="bring a trained network from elsewhere", description=IMPORT
    )
    command.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="file with weights")
    command.add_argument("--layout", required=True, metavar="NAME", help="what it holds")
    command.add_argument(
        "--out", type=Path, required=True, help="NAME.bundle, or a folder for models alone"
    )
    command.add_argument(
        "--add", action="append", default=[], metavar="LAYOUT=FILE",
        help="another checkpoint of the same space; may be repeated",
    )  # fmt: skip
    for name, default in (("mean", "0"), ("std", "1")):
        command.add_argument(
            f"--{name}", type=_numbers, default=default, metavar="R,G,B",
            help=f"{name} of pictures that a SavedModel or ONNX face network was trained with",
        )  # fmt: skip
    command.add_argument("--licence", default="not stated; ask who trained it", help="for the card")
    add_options(command)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add what says how to convert; `parity` takes the same."""
    command.add_argument(
        "--voices", type=Path, metavar="FOLDER", help="recordings to calibrate on, sub-folders too"
    )
    command.add_argument(
        "--faces", type=Path, metavar="FOLDER", help="photos to calibrate on, sub-folders too"
    )
    command.add_argument("--samples", type=int, default=16, help="how many of each (16)")
    command.add_argument(
        "--memory", type=float, metavar="GIB", help="limit of each conversion's memory"
    )
    command.add_argument(
        "--whole", action="store_true", help="int8 throughout, no floating-point tail"
    )
    command.add_argument("--min-cosine", type=float, default=0.98, help="gate of int8 (0.98)")
    command.add_argument("--min-psnr", type=float, default=32.0, help="gate of int8, dB (32)")


def run(args: argparse.Namespace) -> int:
    """Carry out the command; return its exit code."""
    from .steps import import_bundle, import_models

    sources, chosen = sources_of(args), options_of(args)
    if args.out.suffix == ".bundle":
        bundle = import_bundle(sources, chosen, args.licence, args.out)
        for name, value in bundle.manifest.measured.items():
            print(f"{name:28} {value:8.4f}")
        print(f"{args.out}: written; check it with: earsight bundle verify {args.out}")
        return 0
    for model in import_models(sources, chosen, args.out):
        print(f"{model.path}: {model.source}")
        for name, value in model.figures.items():
            print(f"    {name:12} {value:14.6g}")
    return 0


def sources_of(args: argparse.Namespace) -> tuple[Source, ...]:
    """Return the checkpoints given.

    Raises:
        ConfigError: a layout is not known, or --add is not LAYOUT=FILE.
    """
    from ..checkpoints.layouts import find_layout
    from .steps import Source

    sources = [Source(find_layout(args.layout), args.checkpoint)]
    for text in args.add:
        layout, equals, path = text.partition("=")
        if not equals:
            raise ConfigError(f"--add {text}: must be LAYOUT=FILE")
        sources.append(Source(find_layout(layout), Path(path)))
    return tuple(sources)


def options_of(args: argparse.Namespace) -> Options:
    """Return how to convert.

    Raises:
        ConfigError: a number is out of range.
    """
    from .steps import Options

    if args.samples < 2:
        raise ConfigError(f"--samples: is {args.samples}, at least 2 are needed")
    mean, std = getattr(args, "mean", (0.0,)), getattr(args, "std", (1.0,))
    if not {len(mean), len(std)} <= {1, 3} or min(std) <= 0:
        raise ConfigError("--mean, --std: give one number or three, those of --std above 0")
    return Options(
        voices=args.voices,
        faces=args.faces,
        samples=args.samples,
        memory_gib=args.memory,
        whole=args.whole,
        min_cosine=args.min_cosine,
        min_psnr_db=args.min_psnr,
        mean=mean,
        std=std,
    )


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"'{text}' is not numbers like 0.5,0.5,0.5") from exc


DISTIL = """\
Train a student, small enough for a device, to give the embeddings of a large teacher. The teacher's
checkpoint is read as by `import`; the student is a .keras file, which `import` takes in its turn. A
run that was stopped goes on with the same command.
"""


def add_distil(commands: Commands) -> None:
    """Add `distil`."""
    command = commands.add_parser(
        "distil", help="train a small student of a large network", description=DISTIL
    )
    command.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="the teacher's")
    command.add_argument("--layout", required=True, metavar="NAME", help="the teacher's")
    command.add_argument("--student", required=True, metavar="NAME", help="which student")
    command.add_argument("--voices", type=Path, metavar="FOLDER", help="recordings to train on")
    command.add_argument("--faces", type=Path, metavar="FOLDER", help="photos to train on")
    command.add_argument("--steps", type=int, default=20000, help="20000")
    command.add_argument("--batch", type=int, default=32, help="inputs of one step (32)")
    command.add_argument(
        "--pool", type=int, default=8192, help="different inputs, shown to the teacher once (8192)"
    )
    command.add_argument("--seed", type=int, default=1, help="1")
    command.add_argument("--out", type=Path, required=True, help="STUDENT.keras")
    command.add_argument("--work", type=Path, help="folder to go on from (STUDENT.keras.work)")


def run_distil(args: argparse.Namespace) -> int:
    """Carry out `distil`; return its exit code."""
    import tensorflow as tf

    from ..checkpoints.layouts import find_layout
    from ..fitting.loop import same_run
    from . import distillation
    from .steps import Source, digest, load_parts

    layout = find_layout(args.layout)
    student = distillation.find_student(args.student, args.layout)
    if args.out.suffix != ".keras":
        raise ConfigError(f"--out {args.out}: must end with .keras")
    for name in ("steps", "batch", "pool"):
        if getattr(args, name) < 1:
            raise ConfigError(f"--{name}: is {getattr(args, name)}, must be at least 1")
    inputs, held_out = distillation.inputs_for(student, layout, args.voices, args.faces, args.seed)
    parts = load_parts(Source(layout, args.checkpoint))
    teacher = next(network for part, network in parts if part.role == student.role)
    work = args.work or args.out.with_name(f"{args.out.name}.work")
    folder = args.faces if student.role == "face_encoder" else args.voices
    about = {name: getattr(args, name) for name in ("student", "steps", "batch", "pool", "seed")}
    about |= {"teacher": digest(args.checkpoint)[:16], "files": str(folder.resolve())}
    work.mkdir(parents=True, exist_ok=True)
    same_run(work, about)
    tf.keras.utils.set_random_seed(args.seed)
    network = student.build()
    given, wanted = distillation.held_out_pairs(teacher, held_out, work / "held_out")
    before = distillation.agreement(network, given, wanted)
    distillation.distil(
        teacher, network, inputs, args.pool, args.batch, args.steps, args.seed, work
    )
    after = distillation.agreement(network, given, wanted)
    network.save(args.out)
    print("cosine with the teacher on held-out inputs, untrained and now:")
    for name, was, now in zip(("plain", "without the teacher's mean"), before, after, strict=True):
        print(f"    {name:26} {was:8.4f} {now:8.4f}")
    # a student of a teacher's face encoder is a whole network of any kind
    kind = "face" if student.role == "face_encoder" else args.student
    print(f"{args.out}: written; convert it with: earsight-convert import {args.out} "
          f"--layout {kind} --out NAME.bundle")  # fmt: skip
    return 0
