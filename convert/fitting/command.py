"""The `earsight-convert fit` command: the papers' recipes on a data set, step by step.

::

    folders, tables → people → batches → first run: weights → second run → checkpoint for `import`
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import ConfigError

if TYPE_CHECKING:
    from .sources import Source

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

FIT = """\
Train the networks of a paper on people of your own, by its recipe: shape-of-sound (both encoders)
or speech2face (a voice encoder that tells the feature of a face). --data holds VoxCeleb1 and
VGGFace as published, with --lists the folder of vox1_train.csv; clips of AVSpeech, with --avspeech
its CSV; or a folder for each person. Stopped at any moment, the same command goes on.
"""


def add_command(commands: Commands) -> None:
    """Add `fit`."""
    command = commands.add_parser(
        "fit", help="train on a data set by a paper's recipe", description=FIT
    )
    command.add_argument("recipe", choices=["shape-of-sound", "speech2face"])
    command.add_argument(
        "--data", type=Path, action="append", required=True, metavar="FOLDER",
        help="holds voices, faces or both; may be repeated",
    )  # fmt: skip
    command.add_argument("--lists", type=Path, metavar="FOLDER", help="of vox1_train.csv")
    command.add_argument("--avspeech", type=Path, metavar="FILE.csv", help="AVSpeech's segments")
    command.add_argument("--work", type=Path, required=True, help="folder for checkpoints")
    command.add_argument(
        "--out", type=Path, required=True,
        help="CHECKPOINT.npz; with --networks small a folder of .keras files",
    )  # fmt: skip
    command.add_argument(
        "--networks", choices=["published", "small"], default="published",
        help="the paper's, or students for small devices (published)",
    )  # fmt: skip
    command.add_argument(
        "--start", action="append", default=[], metavar="LAYOUT=FILE",
        help="a checkpoint to start from: a layout of `import`, or ir50; may be repeated",
    )  # fmt: skip
    command.add_argument("--steps", type=int, help="shorten the schedule to this many steps")
    command.add_argument("--batch", type=int, help="people or voices in a step (as published)")
    command.add_argument("--seed", type=int, default=1, help="1")
    command.add_argument(
        "--strategy", default="one", metavar="NAME",
        help="tf.distribute: one device, mirrored, multi-worker (one)",
    )  # fmt: skip
    command.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="files read at a time"
    )
    command.add_argument("--vgg-face", type=Path, metavar="FILE", help="speech2face: its weights")
    command.add_argument(
        "--features", type=Path, metavar="FILE.npz",
        help="speech2face: people and features (n, 4096) computed elsewhere",
    )  # fmt: skip
    command.add_argument(
        "--decoder", type=Path, metavar="FILE",
        help="speech2face: weights of its face decoder, trained on the same form of fc7",
    )  # fmt: skip
    command.add_argument(
        "--convention", choices=["linear", "rectified_unit"], default="linear",
        help="speech2face: which form of fc7 is taught (linear)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Carry out the command; return its exit code.

    Raises:
        ConfigError: an argument is wrong, or --work holds another run.
    """
    from .loop import find_strategy, is_chief, own_folder, same_run
    from .people import digest_of
    from .sources import find_source

    _check(args)
    strategy = find_strategy(args.strategy)
    work = own_folder(strategy, args.work)
    source = find_source(args.data, args.lists, args.avspeech, work, args.seed)
    about = {
        "recipe": args.recipe, "networks": args.networks, "start": sorted(args.start),
        "steps": args.steps, "batch": args.batch, "seed": args.seed,
        "people": digest_of(source.people),
    }  # fmt: skip
    same_run(work, about)
    print(f"{len(source.people)} people, {_files(source)}")
    train = _shape_of_sound if args.recipe == "shape-of-sound" else _speech2face
    networks = train(args, source, strategy, work)
    # statistics of batch norms are averaged over all workers when they are read, so all write
    _write(args, networks, args.out if is_chief(strategy) else work / args.out.name)
    return 0


def _check(args: argparse.Namespace) -> None:
    if args.steps is not None and args.steps < 1:
        raise ConfigError(f"--steps: is {args.steps}, at least 1 is needed")
    if args.workers < 1:
        raise ConfigError(f"--workers: is {args.workers}, at least 1 is needed")
    if args.networks == "published" and args.out.suffix != ".npz":
        raise ConfigError(f"--out {args.out}: must end with .npz")
    if args.recipe == "speech2face" and (args.vgg_face is None) == (args.features is None):
        raise ConfigError("speech2face: give either --vgg-face FILE or --features FILE.npz")


def _files(source: Source) -> str:
    voices = sum(len(person.voices) for person in source.people)
    return f"{voices} voices, {sum(len(person.faces) for person in source.people)} faces"


def _shape_of_sound(
    args: argparse.Namespace, source: Source, strategy: Any, work: Path
) -> dict[str, Any]:
    import dataclasses

    from .networks import build_networks, start_from
    from .shape_of_sound import Networks, Schedule, fit
    from .validation import look_at

    schedule = Schedule()
    if args.steps is not None:
        schedule = schedule.shortened(args.steps)
    if args.batch is not None:
        schedule = dataclasses.replace(schedule, batch=args.batch)

    def build() -> Networks:
        made = build_networks(args.networks)
        for text in args.start:
            start_from({"voice_encoder": made.voice, "face_encoder": made.face}, text)
        return made

    look = look_at(source.listed, source.item_of) if source.listed else None
    if look is None:
        print("nobody is held out: the last step is kept, not the best")
    done = fit(build, source.people, schedule, work, strategy, args.seed, args.workers, look)
    return {"voice_encoder": done.voice, "face_encoder": done.face}


def _speech2face(
    args: argparse.Namespace, source: Source, strategy: Any, work: Path
) -> dict[str, Any]:
    from ..checkpoints.layouts import find_layout
    from ..importing.steps import Source as Checkpoint
    from ..importing.steps import load_parts
    from ..networks.speech2face_voice import speech2face_student, speech2face_voice
    from .networks import start_from
    from .speech2face import BATCH, Teachers, Voices, fit
    from .targets import compute_targets, load_vgg_face, read_targets

    classify, first = None, None
    if args.features is not None:
        targets = read_targets(args.features, source.people)
    else:
        vgg, classify = load_vgg_face(args.vgg_face)
        targets = compute_targets(source.people, vgg, args.convention, work)
    if args.decoder is not None:
        ((_, decoder),) = load_parts(Checkpoint(find_layout("speech2face-decoder"), args.decoder))
        first = decoder.get_layer("fc1")
    size = args.batch or BATCH

    def build() -> Any:
        small = args.networks == "small"
        rectified = args.convention == "rectified_unit"
        made = speech2face_student() if small else speech2face_voice(rectified=rectified)
        for text in args.start:
            start_from({"voice_encoder": made}, text)
        return made

    voices = Voices(source.people, targets, size, args.seed, args.workers)
    steps = args.steps or voices.steps
    if args.convention != "linear":
        classify = None  # it wants fc7 at its own length
    teachers = Teachers(first, classify)
    voice = fit(build, voices, teachers, steps, work, strategy, size, args.seed)
    return {"voice_encoder": voice}


def _write(args: argparse.Namespace, networks: dict[str, Any], out: Path) -> None:
    """Write what was trained and say, where it was asked for, how to go on."""
    from .export import write_checkpoint

    checkpoint, layout, more = out, args.recipe, ""
    if args.networks == "published":
        if args.recipe == "speech2face":
            rectified = args.convention == "rectified_unit"
            layout = f"speech2face-voice{'-rectified' if rectified else ''}"
        write_checkpoint(networks, layout, out)
    else:
        checkpoint, layout = out / "voice.keras", f"{args.recipe}-student"
        out.mkdir(parents=True, exist_ok=True)
        for role, network in networks.items():
            network.save(out / f"{role.removesuffix('_encoder')}.keras")
        if "face_encoder" in networks:
            more = f" --add face={out / 'face.keras'}"
    if out == args.out:
        command = f"earsight-convert import {checkpoint} --layout {layout}{more}"
        print(f"{out}: written; go on with: {command}")
