"""What may be typed after `earsight enroll` and `earsight find`."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

ENROLL = """\
Add a person to the gallery, or more photos of somebody who is in it. The one face of each photo is
found, judged and framed; a photo without a face, with several, or with one that is too small,
turned, dark or blurred is refused with the reason, and --out shows what was seen. A bundle without
a face detector wants photos that show one face, centred and upright, with the eyes halfway down and
crown to chin three quarters of the height.

With --all, everybody in a folder: a sub-folder for each person, or a photo for each. Stopped in the
middle, the same command goes on from there. The exit code is that of the first photo refused.
"""
FIND = """\
Rank voices by how well they fit the face on a photo: those of enrolled people (earsight enroll NAME
--voice FILE), and those of a journal that keeps them ([journal] embeddings = true). It is a guess
about sex, age and size, and identifies nobody.
"""
GALLERY = "people to use (yours, in $XDG_DATA_HOME/earsight/people.gallery)"
BUNDLE = "models to use (the installed, else the shipped)"


def add_enroll(commands: Commands) -> None:
    """Add `earsight enroll`."""
    enroll = commands.add_parser(
        "enroll",
        help="add a person, or a folder of people",
        description=ENROLL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    enroll.add_argument("name", nargs="?", metavar="NAME", help="how results call the person")
    enroll.add_argument(
        "images",
        nargs="*",
        type=Path,
        metavar="PHOTO",
        help="photos of the face, a folder of them, or a camera (/dev/video0)",
    )
    enroll.add_argument(
        "--voice",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a recording in which only this person speaks; may be repeated",
    )
    enroll.add_argument("--all", type=Path, metavar="FOLDER", help="enroll everybody in a folder")
    enroll.add_argument(
        "--workers", type=_count, metavar="N", help="with --all: processes (one per core)"
    )
    enroll.add_argument("--out", type=Path, metavar="DIR", help="show here why photos are refused")
    enroll.add_argument("--consent-by", metavar="WHO", help="who consented: the person, a parent")
    enroll.add_argument("--purpose", metavar="TEXT", help="what they consented to")
    enroll.add_argument(
        "--expires", type=_date, metavar="DATE", help="until when: 2027-12-31, local time"
    )
    enroll.add_argument("--bundle", type=Path, metavar="PATH", help=BUNDLE)
    enroll.add_argument("--gallery", type=Path, metavar="FILE", help=GALLERY)
    enroll.set_defaults(command="enroll", wrong_usage=enroll.error)


def add_find(commands: Commands) -> None:
    """Add `earsight find`."""
    find = commands.add_parser(
        "find",
        help="rank voices for a face",
        description=FIND,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    find.add_argument("image", type=Path, metavar="PHOTO", help="a photo of one face")
    find.add_argument("--journal", type=Path, metavar="DIR", help="search this journal's voices")
    find.add_argument("--top", type=_count, default=5, metavar="N", help="voices to rank (5)")
    find.add_argument("--json", action="store_true", help="print JSON")
    find.add_argument("--bundle", type=Path, metavar="PATH", help=BUNDLE)
    find.add_argument("--gallery", type=Path, metavar="FILE", help=GALLERY)
    find.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="TOML, on top of /etc/earsight/earsight.toml",
    )
    find.set_defaults(command="find")


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 999:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 to 999")
    return int(text)


def _date(text: str) -> datetime:
    """Return a time; one without a zone is of this machine's."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as exc:
        raise argparse.ArgumentTypeError(f"'{text}' is no date like 2027-12-31") from exc
