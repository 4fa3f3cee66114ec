"""`earsight run`: the daemon, on a microphone or on a file in its place."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from .. import capacity
from ..accelerator.delegate import choose_delegate
from ..accelerator.failover import Accelerator
from ..audio.lamp import Lamp
from ..audio.microphone import Microphone
from ..audio.playback import Playback
from ..bundle import Bundle
from ..config import (
    DeviceConfig,
    Effective,
    gallery_path,
    journal_folder,
    key_file,
    load_config,
)
from ..daemon import Daemon, Makers
from ..live import Source
from ..memory import release_model_files, spare_memory
from ..mute import Mute, mute_file
from ..people.database import is_store
from ..people.opening import read_gallery
from ..people.sink import PeopleSink
from ..pipeline import Ear
from ..presence import Presence
from ..service import Notifier, log_to_stderr
from ..sinks import Sink
from ..sinks.fanout import QUEUE, QUEUE_WITH_SOUND, Fanout
from ..sinks.journal import Journal
from ..sinks.jsonl import JsonlSink
from ..sinks.mqtt import MqttSink
from ..sinks.opening import OpeningSink
from ..web.page import Page
from ..web.settings import with_address
from .loading import open_bundle


def run(args: Namespace) -> int:
    """Run the daemon until a signal, or until the file given in the microphone's place ends."""
    spare_memory()
    page = Page()

    def load() -> DeviceConfig:
        effective = _with_options(load_config(args.config), args)
        log_to_stderr(effective.config.service.log)
        return page.read(effective)

    parts = makers(load, args.input, args.fast, page)
    mute = Mute(mute_file() if args.input is None else None)
    daemon = Daemon(parts, Notifier(), patient=args.fast, presence=Presence(), mute=mute)
    with page.of(daemon):
        daemon.run()
    return 0


def makers(
    load: Callable[[], DeviceConfig], file: Path | None, fast: bool, page: Page | None = None
) -> Makers:
    """Return what makes the parts of a daemon; a file takes the microphone's place."""

    def source(config: DeviceConfig) -> Source:
        found: Source
        if file is not None:
            found = Playback(file, fast)
        else:
            found = Microphone(config.audio, Lamp(config.privacy.lamp))
        return page.tap(found) if page and config.web.enabled else found

    def sinks(config: DeviceConfig) -> Fanout:
        return open_sinks(config, (lambda: page.follow(config)) if page else list)

    return Makers(load, _bundle, _ear, source, sinks, rehearse=capacity.rehearse)


def _with_options(effective: Effective, args: Namespace) -> Effective:
    """Return the configuration with what the command line says on top."""
    config, origins = effective.config, dict(effective.origins)
    if args.json:
        config = replace(config, stdout=replace(config.stdout, enabled=True))
        origins["stdout.enabled"] = "--json"
    if args.web is not None:
        config = replace(config, web=with_address(config.web, args.web))
        origins |= dict.fromkeys(("web.enabled", "web.host", "web.port"), "--web")
    return Effective(config, origins)


def open_sinks(config: DeviceConfig, more: Callable[[], Iterable[Sink]]) -> Fanout:
    """Open every sink that is enabled, and more; a disk that is not ready is waited for.

    Args:
        config: says which.
        more: opens the page, which shows the journal: called when that is open.

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
    others = [*more()]
    if config.stdout.enabled:
        others.append(JsonlSink())
    if config.mqtt.enabled:
        others.append(MqttSink(config.mqtt))
    people = gallery_path(config.gallery)
    if is_store(people):
        others.append(PeopleSink(people, key_file(config.gallery), config.gallery.review_days))
    queue = QUEUE_WITH_SOUND if config.privacy.keep_audio else QUEUE
    return Fanout(others, first=journal, queue=queue)


def _bundle(config: DeviceConfig) -> Bundle:
    return open_bundle(Path(config.bundle.path) if config.bundle.path else None)


def _ear(config: DeviceConfig, bundle: Bundle) -> Ear:
    path = gallery_path(config.gallery)
    space_id = bundle.manifest.embedding.space_id
    gallery = read_gallery(path, space_id, key_file(config.gallery), config.gallery.engine)
    delegate = choose_delegate(config.accelerator)
    accelerator = Accelerator(delegate, config.accelerator) if delegate else None
    rate = config.decision.false_match_rate
    ear = Ear(bundle, gallery, config.gallery.top, config.bundle.threads, accelerator, rate)
    release_model_files()
    return ear
