"""What waits for an answer on the page: matches just below the line, "was this ...?"."""

from __future__ import annotations

from ..config import DeviceConfig, key_file
from ..people.database import is_store
from ..people.opening import open_store
from ..people.review import Review, confirm, pending, reject
from .enrolment import own_gallery


def waiting(config: DeviceConfig) -> tuple[Review, ...]:
    """Return what waits, the newest first; nothing where nobody has been enrolled.

    Raises:
        ConfigError: the people are encrypted and there is no key.
        StorageError: they cannot be read.
    """
    path = own_gallery(config)
    if not is_store(path):
        return ()
    with open_store(path, None, key_file(config.gallery)) as store:
        return pending(store)


def answer(config: DeviceConfig, number: int, was_this: bool) -> Review:
    """Add a voice to the person, or erase it; return what it was.

    Raises:
        ConfigError: nothing of this number waits any more.
        StorageError: the disk refused.
    """
    with open_store(own_gallery(config), None, key_file(config.gallery)) as store:
        return confirm(store, number) if was_this else reject(store, number)
