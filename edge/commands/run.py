"""`earsight run`: the daemon, on a microphone or on a file in its place."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..audio.microphone import Microphone
from ..audio.playback import Playback
from ..bundle import Bundle
from ..config import DeviceConfig, gallery_path, journal_folder, load_config
from ..daemon import Daemon, Makers
from ..face.gallery import load_gallery
from ..live import Source
from ..pipeline import Ear
from ..service import Notifier, log_to_stderr
from ..sinks import Sink
from ..sinks.fanout import Fanout
from ..sinks.journal import Journal
from ..sinks.jsonl import JsonlSink
from ..sinks.mqtt import MqttSink
from ..sinks.opening import OpeningSink
from .loading import open_bundle


def run(args: Namespace) -> int:
    """Run the daemon until a signal, or until the file given in the microphone's place ends."""

    def load() -> DeviceConfig:
        config = load_config(args.config).config
        if args.json:
            config = replace(config, stdout=replace(config.stdout, enabled=True))
        log_to_stderr(config.service.log)
        return config

    Daemon(makers(load, args.input, args.fast), Notifier(), patient=args.fast).run()
    return 0


def makers(load: Callable[[], DeviceConfig], file: Path | None, fast: bool) -> Makers:
    """Return what makes the parts of a daemon; a file takes the microphone's place."""

    def source(config: DeviceConfig) -> Source:
        return Playback(file, fast) if file is not None else Microphone(config.audio)

    return Makers(load, _bundle, _ear, source, open_sinks)


def open_sinks(config: DeviceConfig) -> Fanout:
    """Open every sink that is enabled; a disk that is not ready is waited for.

    Raises:
        ConfigError: a setting cannot work.
        RuntimeUnavailable: a package that a sink needs is not installed.
    """
    journal_settings = replace(config.journal, folder=str(journal_folder(config.journal)))
    journal = (
        OpeningSink("journal", lambda: Journal(journal_settings))
        if config.journal.enabled
        else None
    )
    others: list[Sink] = []
    if config.stdout.enabled:
        others.append(JsonlSink())
    if config.mqtt.enabled:
        others.append(MqttSink(config.mqtt))
    return Fanout(others, first=journal)


def _bundle(config: DeviceConfig) -> Bundle:
    return open_bundle(Path(config.bundle.path) if config.bundle.path else None)


def _ear(config: DeviceConfig, bundle: Bundle) -> Ear:
    path = gallery_path(config.gallery)
    gallery = load_gallery(path, bundle.manifest.embedding.space_id)
    return Ear(bundle, gallery, config.gallery.top, config.bundle.threads)
