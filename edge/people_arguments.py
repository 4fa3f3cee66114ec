"""What may be typed after `earsight people` and `earsight review`."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .enroll_arguments import BUNDLE, GALLERY

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

PEOPLE = """\
List the people enrolled, change what is kept of them, or move them as a whole. Without an action
it lists. A daemon that runs sees changes of names and people after: sudo systemctl reload earsight
"""
REVIEW = """\
Show the matches that were nearly good enough to be named, and answer for each whether it was this
person. Yes adds the voice to the person, who is then known by it; no erases it.
"""
KEY = "64 hexadecimal digits in a private file; make one: openssl rand -hex 32"


def add_people(commands: Commands) -> None:
    """Add `earsight people`."""
    people = commands.add_parser(
        "people",
        help="list, change, export or import people",
        description=PEOPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_gallery(people, default=None)
    people.set_defaults(command="people list")
    actions = people.add_subparsers(metavar="ACTION")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        parser = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        _add_gallery(parser)
        parser.set_defaults(command=f"people {name}")
        return parser

    action("list", "the people enrolled (default)")
    _add_who(action("remove", "erase one person"))
    rename = action("rename", "give one person another name")
    _add_who(rename)
    rename.add_argument("name", metavar="NEW", help="the new name")
    _add_consent(action("consent", "record what one person agreed to"))
    audit = action("audit", "what was done with people, oldest first; 1 if the log was changed")
    audit.add_argument("--json", action="store_true", help="print JSON lines")
    export = action("export", "write everybody to one file")
    export.add_argument("archive", type=Path, metavar="FILE", help="the archive to write")
    how = export.add_mutually_exclusive_group()
    how.add_argument("--key-file", type=Path, metavar="FILE", help=f"encrypt it: {KEY}")
    how.add_argument("--plain", action="store_true", help="readable for whoever has the file")
    import_ = action("import", "add everybody in such a file")
    import_.add_argument("archive", type=Path, metavar="FILE", help="the archive to read")
    import_.add_argument("--key-file", type=Path, metavar="FILE", help="the key it has")
    migrate = action("migrate", "embed every photo again with another bundle")
    migrate.add_argument("--bundle", type=Path, metavar="PATH", help=BUNDLE)
    encrypt = action("encrypt", "encrypt the gallery, or change its key")
    encrypt.add_argument("--key-file", type=Path, required=True, metavar="FILE", help=KEY)
    encrypt.add_argument("--old-key-file", type=Path, metavar="FILE", help="the key it has now")
    decrypt = action("decrypt", "take the encryption from the gallery")
    decrypt.add_argument("--key-file", type=Path, metavar="FILE", help="the key it has now")


def add_review(commands: Commands) -> None:
    """Add `earsight review`."""
    review = commands.add_parser("review", help='answer "was this ...?"', description=REVIEW)
    answer = review.add_mutually_exclusive_group()
    answer.add_argument("--yes", type=int, metavar="NUMBER", help="it was this person")
    answer.add_argument("--no", type=int, metavar="NUMBER", help="it was not")
    answer.add_argument("--json", action="store_true", help="print what waits as JSON")
    _add_gallery(review, default=None)
    review.set_defaults(command="review")


def _add_consent(parser: argparse.ArgumentParser) -> None:
    _add_who(parser)
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--by", metavar="WHO", help="who consents: the person, a parent")
    choice.add_argument("--none", action="store_true", help="take the record out")
    parser.add_argument("--purpose", default="to be recognised by this device", metavar="TEXT")
    parser.add_argument(
        "--expires", type=_date, metavar="DATE", help="until when: 2027-12-31, local time"
    )


def _add_who(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("who", metavar="NAME|ID")


def _add_gallery(
    parser: argparse.ArgumentParser, default: Path | str | None = argparse.SUPPRESS
) -> None:
    parser.add_argument("--gallery", type=Path, default=default, metavar="FILE", help=GALLERY)


def _date(text: str) -> datetime:
    """Return a time; one without a zone is of this machine's."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as exc:
        raise argparse.ArgumentTypeError(f"'{text}' is no date like 2027-12-31") from exc
