"""What the page answers, as plain values; `app.py` puts them on the wire."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from .. import __version__
from ..config import DeviceConfig, Effective, flatten, gallery_path, journal_folder, to_tree
from ..config_reference import REFERENCE, SECTIONS
from ..errors import ConfigError, EarsightError, InputError, StorageError
from ..face.decoder import CAPTION, HONESTY
from ..face.gallery import sample_gallery_path
from ..service import Command
from ..sinks.journal_folder import portrait_path
from ..sinks.journal_query import Entry, read_events
from ..vitals import Device
from .enrolment import Outcome, Photo, enrol, remove
from .feed import Feed
from .metrics import CONTENT_TYPE, render
from .review import answer, waiting
from .status import Board, describe
from .tally import Tally

HISTORY = 20  # entries of a page
MOST_PEOPLE = 200  # that are shown; `earsight people` lists all
FAULT_OF_THE_ASKER = (3, 6)  # exit codes: a name, a photo
NO_PICTURE = "/static/nobody.svg"


@dataclass(frozen=True, slots=True)
class Answer:
    """One response."""

    content: bytes
    media_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Views:
    """Everything the page can be asked, a method each; any thread may call them."""

    def __init__(self, device: Device, feed: Feed, tally: Tally, effective: Effective) -> None:
        self._device = device
        self._feed = feed
        self._tally = tally
        self._board = Board()
        self.effective = effective  # the configuration in force; another one at each reload

    def state(self) -> dict[str, Any]:
        """Return how the daemon is."""
        return describe(self._device.vitals(), self._board)

    def describe(self) -> Answer:
        """Answer with how the daemon is."""
        return to_json(self.state())

    def health(self) -> Answer:
        """Answer 200 while sound and inference get on, else 503."""
        vitals = self._device.vitals()
        alive = vitals is not None and vitals.alive
        audio = vitals.audio.state if vitals else "starting"
        return to_json({"alive": alive, "audio": audio}, 200 if alive else 503)

    def metrics(self) -> Answer:
        """Answer with every figure."""
        text = render(self._device.vitals(), self._tally.totals(), self._feed.watchers)
        return Answer(text.encode(), CONTENT_TYPE)

    def about(self) -> Answer:
        """Answer with the words that stand beside every portrait."""
        return to_json({"version": __version__, "caption": CAPTION, "honesty": HONESTY})

    def settings(self) -> Answer:
        """Answer with every key: value, origin, meaning."""
        values = flatten(to_tree(self.effective.config))
        keys = [
            {
                "key": key,
                "value": value,
                "origin": self.effective.origins[key],
                "text": REFERENCE[key].text,
            }
            for key, value in values
        ]
        return to_json({"sections": dict(SECTIONS), "keys": keys})

    def history(self, until: str) -> Answer:
        """Answer with what was heard before a time, newest first.

        Args:
            until: ISO 8601 with a zone; "" for now.
        """
        journal = self.effective.config.journal
        if not journal.enabled:
            return to_json({"kept": False, "entries": [], "more": False})
        try:
            before = datetime.fromisoformat(until) if until else None
        except ValueError:
            return refuse(f"'{until}' is no time", 400)
        try:
            found = read_events(journal_folder(journal), None, before, "heard", HISTORY + 1)
        except StorageError as exc:
            return refuse(str(exc), 503)
        entries = [_entry(entry) for entry in found[:HISTORY]]
        return to_json({"kept": True, "entries": entries, "more": len(found) > HISTORY})

    def kept_portrait(self, event_id: int) -> Answer:
        """Answer with the portrait of an event of the journal."""
        folder = journal_folder(self.effective.config.journal)
        try:
            return Answer(portrait_path(folder, event_id).read_bytes(), "image/png")
        except OSError:
            return refuse("no such portrait", 404)

    def people(self) -> Answer:
        """Answer with the people who are ranked."""
        vitals = self._device.vitals()
        people = vitals.gallery.people if vitals else ()
        sample = gallery_path(self.effective.config.gallery) == sample_gallery_path()
        shown = [{"id": person.id, "name": person.name} for person in islice(people, MOST_PEOPLE)]
        return to_json({"sample": sample, "people": shown, "more": len(people) - len(shown)})

    def person_picture(self, person_id: str) -> Answer:
        """Answer with the small picture of a person, or nobody's where there is none.

        Who is known by voice only has none, and who was just removed may still be asked for.
        """
        vitals = self._device.vitals()
        try:
            png = vitals.gallery.thumbnail(person_id) if vitals else b""
        except StorageError as exc:
            return refuse(str(exc), 503)
        if not png:
            return Answer(b"", status=303, headers={"Location": NO_PICTURE})
        return Answer(png, "image/png")

    def mute(self, body: bytes) -> Answer:
        """Stop listening, or go on: {"muted": true}."""
        muted = _wish(body, "muted")
        if not isinstance(muted, bool):
            return muted
        command: Command = "mute on" if muted else "mute off"
        self._device.ask(command)
        return to_json({"muted": muted}, 202)

    def enrol(self, name: str, consent_by: str, photos: Sequence[Photo], expires: str) -> Answer:
        """Add a person, then let the daemon read its people again."""
        return self._change(lambda config: enrol(config, name, consent_by, photos, expires))

    def remove(self, person_id: str) -> Answer:
        """Remove a person, then let the daemon read its people again."""
        return self._change(lambda config: remove(config, person_id))

    def reviews(self) -> Answer:
        """Answer with the matches that wait for "was this ...?"."""
        try:
            found = waiting(self.effective.config)
        except EarsightError as exc:
            return refuse(str(exc), 503)
        return to_json({"waiting": [review.as_json() for review in found]})

    def answer_review(self, number: int, body: bytes) -> Answer:
        """Carry out one answer: {"yes": true} makes the voice the person's, false erases it."""
        yes = _wish(body, "yes")
        if not isinstance(yes, bool):
            return yes
        try:
            review = answer(self.effective.config, number, yes)
        except ConfigError:
            return refuse("this was answered already, or has been erased", 404)
        except EarsightError as exc:
            return refuse(str(exc), 503)
        if yes:
            self._device.ask("reload")
        return to_json({"number": number, "name": review.name, "yes": yes})

    def _change(self, change: Callable[[DeviceConfig], Outcome]) -> Answer:
        try:
            outcome = change(self.effective.config)
        except EarsightError as exc:
            return refuse(str(exc), 422 if isinstance(exc, InputError) else 500)
        seen = [
            {"name": photo.name, "png": base64.b64encode(photo.content).decode()}
            for photo in outcome.seen
        ]
        if not outcome.done:
            status = 422 if outcome.exit_code in FAULT_OF_THE_ASKER else 500
            return to_json({"error": outcome.said, "seen": seen}, status)
        self._device.ask("reload")
        return to_json({"said": outcome.said, "seen": seen}, 201)


def to_json(value: Any, status: int = 200) -> Answer:
    """Return an answer in JSON."""
    return Answer(json.dumps(value, allow_nan=False).encode(), status=status)


def refuse(reason: str, status: int) -> Answer:
    """Return an answer that says why not."""
    return to_json({"error": reason}, status)


def _wish(body: bytes, key: str) -> bool | Answer:
    """Return what a body {key: true or false} says, or the refusal of any other."""
    try:
        wish = json.loads(body)[key]
    except (ValueError, KeyError, TypeError):
        wish = None
    if not isinstance(wish, bool):
        return refuse(f'send {{"{key}": true}} or {{"{key}": false}}', 400)
    return wish


def _entry(entry: Entry) -> dict[str, Any]:
    """Return an event of the journal as the page lists it."""
    when = datetime.fromtimestamp(entry.time_s, UTC).isoformat(timespec="milliseconds")
    portrait = f"/portraits/kept/{entry.id}" if entry.portrait else None
    return {
        **entry.body,
        "id": entry.id,
        "time": when,
        "time_sure": entry.time_sure,
        "portrait": portrait,
    }
