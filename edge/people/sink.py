"""What the live path leaves in the store: each match shown, and matches to ask about; expiry."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..events import Event, clock_synced
from .audit import prune
from .opening import open_store
from .review import forget_old, keep
from .store import PeopleStore

SWEEP_S = 86_400.0

_log = logging.getLogger(__name__)


def note_match(
    store: PeopleStore, now_s: float, heard: Mapping[str, Any], detail: Mapping[str, Any]
) -> None:
    """Write one ranking that was shown into the audit log, inside `PeopleStore.noting`.

    Args:
        store: of the people who were ranked.
        now_s: when, seconds since 1970.
        heard: as `Sighting.as_json`.
        detail: what else is to be known about it; no names.
    """
    ranked = [match["id"] for match in heard.get("matches") or []]
    if ranked:
        store.log(now_s, "shown", ranked[0], {**detail, "ranked": ranked})


class PeopleSink:
    """Follows the events of the live path; belongs to one thread of the fan-out."""

    name = "people"

    def __init__(self, path: Path, key_file: Path | None, review_days: int) -> None:
        """Set up; the store is opened with the first event.

        Args:
            path: the store.
            key_file: see `open_store`.
            review_days: how long a voice waits for an answer; 0 keeps none.
        """
        self._path, self._key_file, self._review_days = path, key_file, review_days
        self._store: PeopleStore | None = None
        self._swept_s = -SWEEP_S

    def write(self, event: Event) -> None:
        """Note what was shown of whom.

        Raises:
            StorageError: the store cannot be written now.
        """
        store = self._store = self._store or open_store(self._path, None, self._key_file)
        now_s = time.monotonic()
        if now_s - self._swept_s >= SWEEP_S:
            self._swept_s = now_s
            self._sweep(store)
        matches = event.data.get("matches") or []
        if event.kind != "heard" or not matches:
            return
        decision = event.data["decision"]
        detail = {"event": event.stamp.sequence, "boot": event.stamp.boot_id}
        with store.noting() as wall_s:
            note_match(store, wall_s, event.data, {**detail, "named": decision["id"]})
        voice = event.voice
        wanted = self._review_days and decision["review"]
        if wanted and voice is not None and voice.space_id == store.space_id:
            best = matches[0]
            keep(store, best["id"], voice.vector, best["score"], decision["probability"])

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()

    def _sweep(self, store: PeopleStore) -> None:
        """Let go of what is out of date; a clock that is not known to be right erases nothing."""
        if not clock_synced():
            return
        forget_old(store, self._review_days)
        with store.noting() as now_s:
            prune(store.connection, now_s)
        for person_id in store.erase_expired():
            _log.info("%s: consent has expired, erased", person_id)
