"""`earsight forget`: a person or a time goes from gallery, journal and portraits, for good."""

from __future__ import annotations

from argparse import Namespace
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from ..config import gallery_path, journal_folder, load_config
from ..errors import ConfigError, StorageError
from ..face.gallery import Gallery, load_gallery, sample_gallery_path, save_gallery
from ..sinks.journal import Journal, JournalSettings
from ..sinks.journal_folder import DATABASE


def forget(args: Namespace) -> int:
    """Forget somebody everywhere, or what was heard in a stretch of time."""
    if not (args.who or args.since or args.until):
        raise ConfigError("forget: name a person, --since or --until")
    config = load_config(args.config).config
    person = _forget_in_gallery(args, args.gallery or gallery_path(config.gallery))
    folder = journal_folder(config.journal)
    if (folder / DATABASE).exists():
        _forget_in_journal(args, person, replace(config.journal, folder=str(folder)))
    else:
        print(f"{folder}: no journal")
    print("a daemon that runs still knows the old gallery: sudo systemctl reload earsight")
    return 0


def _forget_in_gallery(args: Namespace, path: Path) -> str | None:
    """Return the id of the person asked for; without times they leave the gallery."""
    if args.who is None:
        return None
    gallery = load_gallery(path) if path.exists() else Gallery("")
    found = [p for p in gallery.people if args.who in (p.id, p.name)]
    if not found:
        print(f"{path}: nobody called {args.who}; the journal is searched for that id")
        return str(args.who)
    ours = path != sample_gallery_path()
    if ours and args.since is None and args.until is None:
        save_gallery(path, gallery.remove(args.who))
        print(f"{path}: {args.who} ({found[0].id}) is removed")
    return found[0].id


def _forget_in_journal(args: Namespace, person: str | None, settings: JournalSettings) -> None:
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
