"""`earsight forget`: a person or a time goes from gallery, journal and portraits, for good."""

from __future__ import annotations

from argparse import Namespace
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from ..config import gallery_path, journal_folder, load_config
from ..errors import ConfigError, StorageError
from ..face.gallery import sample_gallery_path
from ..people.opening import OLD_SUFFIX
from ..people.review import forget_heard
from ..presence import restart_daemon
from ..sinks.journal import Journal, JournalSettings
from ..sinks.journal_folder import DATABASE
from ..sinks.mqtt import clear_state
from .loading import open_people


def forget(args: Namespace) -> int:
    """Forget somebody everywhere, or what was heard in a stretch of time.

    Raises:
        ConfigError: nothing was named, or nobody is known by that name or id, nor was ever.
    """
    if not (args.who or args.since or args.until):
        raise ConfigError("forget: name a person, --since or --until")
    config = load_config(args.config).config
    people = args.gallery or gallery_path(config.gallery)
    person, known = _forget_in_gallery(args, people)
    folder = journal_folder(config.journal)
    restarted = restart_daemon(folder)  # before the rest: else it writes the name once more
    if restarted:
        print("the daemon has started anew and knows nothing of it")
    _forget_reviews(args, people, person)
    if (folder / DATABASE).exists():
        known |= _forget_in_journal(args, person, replace(config.journal, folder=str(folder)))
    else:
        print(f"{folder}: no journal")
    if config.mqtt.enabled and not restarted:  # a daemon that started has overwritten its state
        clear_state(config.mqtt)
        print(f"{config.mqtt.host}: the state it keeps is empty")
    if args.who and not known:
        raise ConfigError(
            f"{args.who}: neither in the gallery nor in what was heard; check the name "
            "(earsight people list)"
        )
    return 0


def _forget_in_gallery(args: Namespace, path: Path) -> tuple[str | None, bool]:
    """Return the id of the person asked for, and whether they are known; they leave the gallery.

    With times they stay in it. Who is not in it may have been: the journal knows names, too.
    """
    if args.who is None:
        return None, True
    if not _is_store(path):
        print(f"{path}: nobody called {args.who}; what was heard is searched")
        return str(args.who), False
    with open_people(path) as store:
        if not store.has(args.who):
            print(f"{path}: nobody called {args.who}; what was heard is searched")
            return str(args.who), False
        person = store.find(args.who)
        if args.since is None and args.until is None:
            store.remove(person.id)
            print(f"{path}: {args.who} ({person.id}) is removed")
            _remove_old_copy(path)
    return person.id, True


def _remove_old_copy(path: Path) -> None:
    """Remove the gallery of an earlier version that was left beside the store made of it."""
    copy = path.with_name(path.name + OLD_SUFFIX)
    try:
        copy.unlink()
    except FileNotFoundError:
        return
    except OSError as exc:
        raise StorageError(
            f"{copy}: holds everybody still and cannot be removed ({exc.strerror}); remove it"
        ) from exc
    print(f"{copy}: the copy of an earlier version is removed")


def _forget_reviews(args: Namespace, path: Path, person: str | None) -> None:
    """Erase the voices that wait for an answer, of a time range."""
    if (args.since or args.until) and _is_store(path):
        with open_people(path) as store:
            erased = forget_heard(store, person, args.since, args.until)
        print(f"{path}: {erased} voices that waited for review are erased")


def _is_store(path: Path) -> bool:
    return path.exists() and path != sample_gallery_path()


def _forget_in_journal(args: Namespace, person: str | None, settings: JournalSettings) -> bool:
    """Return whether anything was there to forget."""
    with closing(Journal(settings)) as journal:
        try:
            done = journal.forget(person, args.since, args.until)
        except StorageError as exc:
            again = f"; then run again: earsight forget {person}" if person else ""
            raise StorageError(f"{exc}{again}") from exc
    print(
        f"{settings.folder}: {done.removed} events removed, {done.changed} changed, "
        f"{done.set_aside} old damaged journals removed; the file is rewritten"
    )
    return bool(done.removed or done.changed)
