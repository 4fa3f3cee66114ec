"""`earsight people`: who is enrolled, what they agreed to, and what was done with them."""

from __future__ import annotations

import json
from argparse import Namespace
from datetime import UTC, datetime

from ..people import audit
from ..people.consent import Consent
from ..people.person import PersonInfo
from ..sinks.terminal import printable
from .loading import open_people, people_path


def list_people(args: Namespace) -> int:
    """Print who is enrolled."""
    if args.gallery is None and not people_path(None).exists():
        print(
            "nobody is enrolled, so the sample gallery is used; add people with: "
            "earsight enroll NAME IMAGE"
        )
        return 0
    with open_people(args.gallery) as store:
        for person in store.people():
            print(f"{person.id}  {printable(person.name)}  ({_facts(person)})")
    return 0


def remove_person(args: Namespace) -> int:
    """Erase one person from the store."""
    with open_people(args.gallery) as store:
        person = store.remove(args.who)
        left = len(store.people())
        print(f"{printable(person.name)} ({person.id}) is removed, {left} left in {store.path}")
    return 0


def rename_person(args: Namespace) -> int:
    """Give one person another name."""
    with open_people(args.gallery) as store:
        person = store.rename(args.who, args.name)
    print(f"{person.id} is now called {printable(person.name)}")
    return 0


def record_consent(args: Namespace) -> int:
    """Replace what is recorded of a person's consent, or take it out."""
    consent = None
    if args.by is not None:
        consent = Consent(args.by, datetime.now(UTC), args.purpose, args.expires)
    with open_people(args.gallery) as store:
        person = store.set_consent(args.who, consent)
    print(f"{person.id}  {printable(person.name)}  ({_facts(person)})")
    return 0


def show_audit(args: Namespace) -> int:
    """Print the audit log; 1 when its chain is broken."""
    with open_people(args.gallery) as store:
        broken = audit.first_break(store.connection, store.seal)
        for entry in audit.entries(store.connection):
            if args.json:
                print(json.dumps(entry.as_json()))
            else:
                when = entry.time.isoformat(sep=" ", timespec="seconds")
                detail = ", ".join(f"{key} {value}" for key, value in entry.detail.items())
                print(f"{entry.number:6} {when} {entry.what:12} {entry.person:8} {detail}")
    if broken is not None:
        print(f"entry {broken} was changed, or one before it is missing")
    return 0 if broken is None else 1


def _facts(person: PersonInfo) -> str:
    counts = ((person.photos, "photo"), (person.voices, "recording"))
    parts = [f"{count} {what}{'s' * (count != 1)}" for count, what in counts if count]
    if person.consent is None:
        parts.append("no consent recorded")
    elif person.consent.expires is None:
        parts.append(f"consent of {printable(person.consent.given_by)}")
    else:
        day = person.consent.expires.date().isoformat()
        parts.append(f"consent {'expired on' if person.expired else 'until'} {day}")
    return ", ".join(parts)
