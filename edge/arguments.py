"""What may be typed after `earsight`: commands, options, and the help about them."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

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
RUN = """\
Listen to the microphone of the configuration until told to stop. Signals: TERM finishes the
utterance being spoken and ends, HUP reads configuration and gallery again, USR1 mutes and unmutes.
"""
REPLAY = """\
Print events as JSON lines: those of a journal (its folder), oldest first, or those that the daemon
would make of a sound file with the present configuration.
"""
FORGET = """\
Remove a person from gallery, journal and portraits, or everything heard between two moments, or
what was heard of a person between them. The journal's file is rewritten, so that nothing stays.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every command; `command` in what it gives names the one chosen."""
    parser = argparse.ArgumentParser(
        prog="earsight",
        description="Hear a voice; guess a face for it and rank the faces you enrolled. Offline.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"earsight {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_hear(commands)
    _add_run(commands)
    _add_replay(commands)
    _add_enroll(commands)
    _add_people(commands)
    _add_forget(commands)
    _add_bundle(commands)
    _add_machine(commands)
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


def _add_run(commands: Commands) -> None:
    run = commands.add_parser(
        "run",
        help="listen to a microphone: the daemon",
        description=RUN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("--input", type=Path, metavar="FILE", help="a sound file as the microphone")
    run.add_argument("--fast", action="store_true", help="with --input: not in real time")
    run.add_argument("--json", action="store_true", help="print events as JSON lines")
    _add_config_option(run)
    run.set_defaults(command="run")


def _add_replay(commands: Commands) -> None:
    replay = commands.add_parser("replay", help="print what was heard", description=REPLAY)
    replay.add_argument("what", type=Path, metavar="JOURNAL|WAV")
    _add_times(replay)
    replay.add_argument(
        "--kind", choices=("heard", "dropped", "audio", "gap", "system"), help="only these events"
    )
    _add_config_option(replay)
    replay.set_defaults(command="replay")


def _add_forget(commands: Commands) -> None:
    forget = commands.add_parser("forget", help="remove a person or a time", description=FORGET)
    forget.add_argument("who", nargs="?", metavar="NAME|ID")
    _add_times(forget)
    _add_gallery_option(forget, default=None)
    _add_config_option(forget)
    forget.set_defaults(command="forget")


def _add_machine(commands: Commands) -> None:
    """Add the commands that tell about this machine."""
    devices = commands.add_parser("devices", help="list microphones")
    config = commands.add_parser("config", help="show the configuration and where it comes from")
    config.add_argument("--defaults", action="store_true", help="print a file with every default")
    doctor = commands.add_parser("doctor", help="check what the daemon needs; 1 when it is amiss")
    doctor.add_argument("--quick", action="store_true", help="do not open the microphone")
    bench = commands.add_parser("bench", help="measure how long each step takes here")
    _add_bundle_option(bench)
    for parser, name in ((devices, "devices"), (config, "config"), (doctor, "doctor")):
        if parser is not devices:
            _add_config_option(parser)
        parser.set_defaults(command=name)
    bench.set_defaults(command="bench")
    for parser in (devices, config, doctor, bench):
        parser.add_argument("--json", action="store_true", help="print JSON")


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


def _add_config_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="TOML, on top of /etc/earsight/earsight.toml",
    )


def _add_times(parser: argparse.ArgumentParser) -> None:
    for option, text in (("--since", "from this moment on"), ("--until", "before this moment")):
        parser.add_argument(
            option, type=_moment, metavar="TIME", help=f"{text}: 2026-01-31T14:00, local time"
        )


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


def _moment(text: str) -> datetime:
    """Return a time; one without a zone is of this machine's."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as exc:
        raise argparse.ArgumentTypeError(f"'{text}' is no time like 2026-01-31T14:00") from exc


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 999:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 to 999")
    return int(text)
