"""What may be typed after `earsight`: commands, options, and the help about them."""

from __future__ import annotations

import argparse
import contextlib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__
from .enroll_arguments import add_enroll, add_find
from .people_arguments import add_people, add_review

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
RUN = """\
Listen to the microphone of the configuration until told to stop. Signals: TERM finishes the
utterance being spoken and ends, HUP reads configuration and gallery again, USR1 mutes and unmutes.
"""
REPLAY = """\
Print events as JSON lines: those of a journal (its folder), oldest first, or those that the daemon
would make of a sound file with the present configuration.
"""
INSTALL = """\
Check who signed a bundle, try its models on this machine, and only then use it instead of the one
that ships. The bundle used before is kept: `earsight bundle rollback` changes back, and again. No
network is needed: the bundle may lie on a USB stick.
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
    add_enroll(commands)
    add_find(commands)
    add_people(commands)
    add_review(commands)
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
    hear.add_argument(
        "--false-match-rate",
        type=_rate,
        default=0.01,
        metavar="RATE",
        help="how often somebody unknown may be given a name: 0.001 to 0.1 (0.01)",
    )
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
    run.add_argument(
        "--web",
        nargs="?",
        const="",
        metavar="HOST:PORT",
        help="serve the page (127.0.0.1:8765); others reach it at 0.0.0.0, with a token",
    )
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
    support = commands.add_parser(
        "support-dump", help="pack what helps to help, names and secrets hidden"
    )
    support.add_argument("--out", type=Path, metavar="FILE", help="the archive, .tar.gz")
    _add_config_option(support)
    support.set_defaults(command="support-dump")
    for parser, name in ((devices, "devices"), (config, "config"), (doctor, "doctor")):
        if parser is not devices:
            _add_config_option(parser)
        parser.set_defaults(command=name)
    bench.set_defaults(command="bench")
    for parser in (devices, config, doctor, bench):
        parser.add_argument("--json", action="store_true", help="print JSON")


def _add_bundle(commands: Commands) -> None:
    bundle = commands.add_parser("bundle", help="show, verify or change the models in use")
    actions = bundle.add_subparsers(required=True, metavar="show|verify|install|rollback")
    for name, text in (
        ("show", "what is in it and how good it was measured to be"),
        ("verify", "check every hash and open every model"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("bundle", nargs="?", type=Path, metavar="PATH", help="NAME.bundle")
        action.set_defaults(command=f"bundle {name}")
    install = actions.add_parser(
        "install", help="use a signed bundle from now on", description=INSTALL
    )
    install.add_argument(
        "bundle", type=Path, metavar="PATH", help="NAME.bundle, with its signature"
    )
    install.add_argument(
        "--key", type=Path, metavar="PEM", default=Path("/etc/earsight/keys"),
        help="public key, or a folder of them, to trust (/etc/earsight/keys)",
    )  # fmt: skip
    install.set_defaults(command="bundle install")
    rollback = actions.add_parser("rollback", help="use the bundle again that was used before")
    rollback.set_defaults(command="bundle rollback")


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


def _rate(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0.001 <= float(text) <= 0.1:
            return float(text)
    raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0.001 to 0.1")


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 999:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 to 999")
    return int(text)
