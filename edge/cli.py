"""The `earsight` command: arguments in, exit code out. What a command does is in `commands.py`.

That module, and NumPy with it, is imported after the arguments were understood: `--help` is quick.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__
from .errors import EarsightError, StorageError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
PIPE_CLOSED = 141  # 128 + SIGPIPE
EXIT_CODES = """\
exit codes:
  0  done                     5  microphone or accelerator
  1  a check failed           6  a sound or picture that cannot be used
  2  wrong usage              7  a sound in which nobody speaks
  3  wrong configuration      8  a package that is needed is not installed
  4  a bundle, or a gallery   9  a disk that cannot be written or read
     made with another one    130  interrupted
"""
HEAR = """\
Find the speech in sound files and say for each utterance what the voice tells: a portrait, which
is a guess and no identification, and the enrolled people whose faces fit it best. As long as you
have enrolled nobody, the synthetic people of the sample gallery are ranked. A file that cannot be
used is reported and the others are heard; the exit code is that of the first such file.
"""
ENROLL = """\
Add a person to the gallery. Several photos of the same person are averaged. There is no face
detection: a photo must show one face, centred and upright, with the eyes halfway down and crown to
chin three quarters of the height, like the faces on the sheet that `earsight hear --out DIR` draws.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; argparse itself exits with 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a name that the terminal cannot show
    try:
        args = _parser().parse_args(argv)
        code = _run(args)
    except EarsightError as error:
        return report(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough: `earsight people | head -1`
        _abandon_output()
        return PIPE_CLOSED
    return code


def report(error: EarsightError) -> int:
    """Print an error as one line on stderr and return its exit code."""
    text = "".join(c if c.isprintable() else "?" for c in str(error))  # file names hold anything
    print(f"earsight: error: {text}", file=sys.stderr)
    return error.exit_code


def _run(args: argparse.Namespace) -> int:
    from .commands import COMMANDS

    try:
        code = COMMANDS[args.command](args)
        if sys.stdout is not None:  # None: started with standard output closed
            sys.stdout.flush()
    except (EarsightError, BrokenPipeError):
        raise
    except OSError as exc:
        if exc.filename is not None:  # a file: the commands turn those into their own errors
            raise
        _abandon_output()
        raise StorageError(
            f"standard output cannot be written ({exc.strerror}); free some space"
        ) from exc
    return code


def _abandon_output() -> None:
    """Send what is still buffered nowhere, so that the interpreter's exit does not complain."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="earsight",
        description="Hear a voice; guess a face for it and rank the faces you enrolled. Offline.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"earsight {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_hear(commands)
    _add_enroll(commands)
    _add_people(commands)
    _add_bundle(commands)
    return parser


def _add_hear(commands: Commands) -> None:
    hear = commands.add_parser("hear", help="hear sound files", description=HEAR)
    hear.add_argument("files", nargs="+", type=Path, metavar="FILE", help="WAV, FLAC, OGG or MP3")
    hear.add_argument("--join", action="store_true", help="hear all files as one recording")
    hear.add_argument("--out", type=Path, metavar="DIR", help="write portrait, sheet and JSON here")
    hear.add_argument("--json", action="store_true", help="print one JSON object")
    hear.add_argument("--top", type=_positive, default=5, metavar="N", help="faces to rank (5)")
    hear.add_argument("--threads", type=_positive, default=1, metavar="N", help="CPU threads (1)")
    _add_bundle_option(hear)
    _add_gallery_option(hear, default=None)
    hear.set_defaults(command="hear")


def _add_enroll(commands: Commands) -> None:
    enroll = commands.add_parser("enroll", help="add a person", description=ENROLL)
    enroll.add_argument("name", metavar="NAME", help="how results call the person")
    enroll.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="photos of the face")
    _add_bundle_option(enroll)
    _add_gallery_option(enroll, default=None)
    enroll.set_defaults(command="enroll")


def _add_people(commands: Commands) -> None:
    people = commands.add_parser("people", help="list or remove people")
    _add_gallery_option(people, default=None)
    people.set_defaults(command="people list")
    actions = people.add_subparsers(metavar="list|remove")
    _add_gallery_option(actions.add_parser("list", help="the people enrolled (default)"))
    remove = actions.add_parser("remove", help="remove one person")
    remove.add_argument("who", metavar="NAME|ID")
    _add_gallery_option(remove)
    remove.set_defaults(command="people remove")


def _add_bundle(commands: Commands) -> None:
    bundle = commands.add_parser("bundle", help="show or verify a bundle of models")
    actions = bundle.add_subparsers(required=True, metavar="show|verify")
    for name, text in (
        ("show", "what is in it and how good it was measured to be"),
        ("verify", "check every hash and open every model"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("bundle", nargs="?", type=Path, metavar="PATH", help="NAME.bundle")
        action.set_defaults(command=f"bundle {name}")


def _add_bundle_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, metavar="PATH", help="models to use (the shipped)")


def _add_gallery_option(
    parser: argparse.ArgumentParser, default: Path | str | None = argparse.SUPPRESS
) -> None:
    parser.add_argument(
        "--gallery",
        type=Path,
        default=default,
        metavar="FILE",
        help="people to use (yours, in $XDG_DATA_HOME/earsight/people.gallery)",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 999:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 to 999")
    return int(text)
