"""`earsight review`: matches just below the line, and the answers to "was this ...?"."""

from __future__ import annotations

import json
from argparse import Namespace

from ..people.review import Review, confirm, pending, reject
from ..sinks.terminal import printable
from .loading import open_people


def review(args: Namespace) -> int:
    """Print what waits, or carry out one answer."""
    with open_people(args.gallery) as store:
        if args.yes is not None:
            done = confirm(store, args.yes)
            print(f"{printable(done.name)} ({done.person_id}) is now known by this voice too")
        elif args.no is not None:
            done = reject(store, args.no)
            print(f"that was not {printable(done.name)}: the voice is erased")
        elif args.json:
            print(json.dumps([entry.as_json() for entry in pending(store)], indent=2))
        else:
            _show(pending(store))
    return 0


def _show(waiting: tuple[Review, ...]) -> None:
    if not waiting:
        print("nothing waits for an answer")
    for entry in waiting:
        when = entry.heard.astimezone().strftime("%Y-%m-%d %H:%M")
        print(
            f"{entry.number:5}  {when}  was this {printable(entry.name)} ({entry.person_id})? "
            f"probability {entry.probability:.0%}, score {entry.score:.2f}"
        )
    if waiting:
        print("answer with: earsight review --yes NUMBER, or --no NUMBER")
