"""The page as the daemon knows it: opened, reopened and closed as the configuration says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..config import DeviceConfig, Effective, flatten, state_folder, to_tree
from ..errors import ConfigError, RuntimeUnavailable
from ..live import Source
from ..service import Command
from ..sinks import Sink
from ..vitals import Device, Vitals
from .access import make_rules
from .app import build_app
from .feed import Feed, PageSink
from .server import PageServer
from .settings import WebSettings
from .sound import SoundTap, TappedSource
from .tally import Tally
from .token import load_token
from .views import Views

TOKEN_FILE = "web.token"  # in the state folder


class Page:
    """The page of one daemon. It outlives reloads, which change what it shows."""

    def __init__(self) -> None:
        """Open nothing yet."""
        self._feed = Feed()
        self._tally = Tally()
        self._device: Device = _NotYet()
        self._read: Effective | None = None
        self._views: Views | None = None
        self._settings = WebSettings()  # as it is served now
        self._server: PageServer | None = None

    @property
    def port(self) -> int | None:
        """Where it is served, None while it is not."""
        return self._server.port if self._server else None

    @contextmanager
    def of(self, device: Device) -> Iterator[None]:
        """Show a daemon as long as the block runs."""
        self._device = device
        try:
            yield
        finally:
            self._close()

    def read(self, effective: Effective) -> DeviceConfig:
        """Take note of a configuration just read and where its values come from; return it."""
        self._read = effective
        return effective.config

    def tap(self, source: Source) -> Source:
        """Return a source whose sound is shown, too."""
        return TappedSource(source, SoundTap(self._feed))

    def follow(self, config: DeviceConfig) -> list[Sink]:
        """Open, change or close the page as a configuration says; return the sink it needs.

        Raises:
            ConfigError: a file of [web] cannot be used.
            StorageError: the token cannot be kept.
            RuntimeUnavailable: the web server is not installed.
        """
        effective = self._effective(config)
        if config.web != self._settings:
            self._close()
            if config.web.enabled:
                self._open(config.web, effective)
            self._settings = config.web
        if self._views is None:
            return []
        self._views.effective = effective
        return [PageSink(self._feed, self._tally)]

    def _effective(self, config: DeviceConfig) -> Effective:
        """Return the origins of a configuration: the one read last, or the one kept instead."""
        if self._read is not None and self._read.config is config:
            return self._read
        if self._views is not None and self._views.effective.config is config:
            return self._views.effective
        return Effective(config, {key: "" for key, _ in flatten(to_tree(config))})

    def _open(self, settings: WebSettings, effective: Effective) -> None:
        _check_certificate(settings)
        token_file = Path(settings.token_file) if settings.token_file else _own_token_file()
        token = load_token(token_file) if settings.needs_token else None
        views = Views(self._device, self._feed, self._tally, effective)
        try:
            rules = make_rules(settings, token)
            app = build_app(views, self._feed, rules, secure=bool(settings.cert_file))
            note = f" with the token in {token_file}" if token else ""
            server = PageServer(settings, app, note, ending=self._feed.end)
        except ImportError as exc:
            raise RuntimeUnavailable(
                f"the page needs a web server ({exc}); run: pip install 'earsight[web]'"
            ) from exc
        server.start()
        self._server, self._views = server, views

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._server = self._views = None
        self._settings = WebSettings()


class _NotYet:
    """Stands for a daemon before there is one."""

    def vitals(self) -> Vitals | None:
        return None

    def ask(self, command: Command) -> None:
        """Do nothing."""


def _own_token_file() -> Path:
    return state_folder() / TOKEN_FILE


def _check_certificate(settings: WebSettings) -> None:
    if settings.cert_file:
        import ssl

        try:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(settings.cert_file, settings.key_file)
        except OSError as exc:  # of ssl, too
            raise ConfigError(f"web.cert_file, web.key_file: cannot be used ({exc})") from exc
