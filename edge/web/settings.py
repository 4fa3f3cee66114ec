"""Where the page is served, and to whom."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from ..errors import ConfigError

DEFAULT_PORT = 8765


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Section [web]."""

    enabled: bool = False
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT  # 0: any that is free, for tests
    names: tuple[str, ...] = ()  # by which a browser may call it, besides its own and addresses
    token_file: str = ""
    cert_file: str = ""  # PEM; empty: plain HTTP
    key_file: str = ""  # PEM

    def __post_init__(self) -> None:
        if not self.host:
            raise ConfigError("web.host: must not be empty; 0.0.0.0 is every address")
        if bool(self.cert_file) != bool(self.key_file):
            raise ConfigError("web.cert_file and web.key_file: give both or none")
        for name in self.names:
            if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", name):
                raise ConfigError(f"web.names: '{name}' is no host name; write it without a port")

    @property
    def needs_token(self) -> bool:
        """Whether others than users of this machine can ask.

        Names are given for a proxy, which brings others to a loopback address.
        """
        return bool(self.names) or not is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches a host; a name other than localhost does not count."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def with_address(settings: WebSettings, address: str) -> WebSettings:
    """Return the settings with the page on, at `HOST:PORT`, `HOST`, `PORT`, `[IPv6]:PORT` or "".

    Raises:
        ConfigError: the address is none of these.
    """
    try:
        parts = urlsplit(f"//:{address}" if address.isdecimal() else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if address and ((host is None and port is None) or re.search(r"[^\w.:\[\]-]", address)):
        raise ConfigError(f"--web: '{address}' is no address; write HOST:PORT, as 0.0.0.0:8765")
    return replace(
        settings,
        enabled=True,
        host=host or settings.host,
        port=settings.port if port is None else port,
    )
