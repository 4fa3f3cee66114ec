"""`earsight replay`: the events of a journal, or those the daemon would make of a file."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from ..config import DeviceConfig, load_config
from ..daemon import Daemon
from ..errors import InputError
from ..service import Notifier, log_to_stderr
from ..sinks.journal_folder import DATABASE
from ..sinks.journal_query import read_events
from ..sinks.jsonl import as_line
from .run import makers


def replay(args: Namespace) -> int:
    """Print the events of a journal, or of a sound file heard as the daemon hears."""
    path: Path = args.what
    if path.name == DATABASE:
        path = path.parent
    if path.is_dir():
        _print_journal(path, args)
    elif args.since or args.until or args.kind:
        raise InputError(f"{path}: not a journal's folder, so it has no times and kinds to choose")
    else:
        _hear_file(path, args.config)
    return 0


def _print_journal(folder: Path, args: Namespace) -> None:
    for entry in reversed(read_events(folder, args.since, args.until, args.kind, limit=0)):
        files = {"portrait": entry.portrait, "sound": entry.sound}
        paths = {name: str(path) if path else None for name, path in files.items()}
        print(as_line({"id": entry.id, **entry.body, **paths}))


def _hear_file(path: Path, config_path: Path | None) -> None:
    """Run the daemon on a file with no sink but standard output."""

    def load() -> DeviceConfig:
        config = load_config(config_path).config
        log_to_stderr("warning")
        return replace(
            config,
            stdout=replace(config.stdout, enabled=True),
            journal=replace(config.journal, enabled=False),
            mqtt=replace(config.mqtt, enabled=False),
            web=replace(config.web, enabled=False),
            privacy=replace(config.privacy, button=""),  # nothing listens
        )

    Daemon(makers(load, path, fast=True), Notifier({}), patient=True).run()
