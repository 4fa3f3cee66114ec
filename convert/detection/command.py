"""`earsight-convert detector`: adopt a face detector, fit the pose maps, measure both."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from edge.bundle import default_bundle_path, load_bundle
from edge.errors import ConfigError
from edge.storage import write_private

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

SEED = 2031
SCENES = 1000


def add_commands(commands: Commands, geometry: str) -> None:
    """Add `detector` and what it can do; `geometry` names the variable with the geometry pack."""
    text = "the face detector of bundles: adopt one, fit its pose maps, measure it"
    detector = commands.add_parser("detector", help=text, description=text)
    actions = detector.add_subparsers(dest="action", required=True, metavar="ACTION")
    adopt = actions.add_parser("adopt", help="fix the shapes and names of a .tflite detector")
    adopt.add_argument("model", type=Path, help="single-shot detector: image in, boxes and scores")
    pose = actions.add_parser("pose", help="fit the pose maps on rendered heads")
    measure = actions.add_parser("measure", help="measure a bundle's detector on rendered heads")
    measure.add_argument("--bundle", type=Path, default=default_bundle_path(), help="NAME.bundle")
    measure.add_argument("--scenes", type=int, default=SCENES, help=f"how many ({SCENES})")
    measure.add_argument(
        "--labelled", type=Path, metavar="FOLDER",
        help="real photos with labels.csv: file,left,top,right,bottom",
    )  # fmt: skip
    for sub in (pose, measure):
        sub.add_argument("--geometry", type=Path, default=os.environ.get(geometry))
        sub.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    for sub in (adopt, pose, measure):
        sub.add_argument("--out", type=Path, required=True, help="the file to write")


def run(args: argparse.Namespace) -> int:
    """Carry out one action."""
    if args.action == "adopt":
        from .shapes import fix_shapes

        args.out.write_bytes(fix_shapes(args.model.read_bytes()))
        return 0
    if args.geometry is None:
        raise ConfigError("no head geometry: give --geometry PACK.npz")
    if args.action == "pose":
        from .pose import fit_pose

        args.out.write_bytes(fit_pose(Path(args.geometry), SEED, args.workers))
        return 0
    from .measure import measure

    text = measure(
        load_bundle(args.bundle), Path(args.geometry), args.labelled, args.scenes, args.workers
    )
    write_private(args.out, text.encode())
    args.out.chmod(0o644)
    print(text)
    return 0
