"""Hides what a value is and shows of which kind it is: who helps needs the shape, not the name.

Every key of the configuration has a kind; one that is not in the table is hidden whole. Free text
(findings, log lines) is searched for the values hidden in the configuration, for names of people,
of this machine and its user, and for what looks like an address or a token.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from ..config_reference import REFERENCE

Kind = Literal["plain", "path", "host", "name", "secret", "device"]

# Text keys; numbers, flags and words from a list of choices are plain.
KINDS: Mapping[str, Kind] = {
    "audio.device": "device",
    "audio.channel": "plain",  # auto, mix or a number
    "bundle.path": "path",
    "accelerator.library": "path",
    "accelerator.device": "plain",  # usb:0, pci:0
    "accelerator.options": "plain",  # Key=value of a library
    "gallery.path": "path",
    "gallery.key_file": "path",
    "gallery.engine": "plain",
    "journal.folder": "path",
    "mqtt.host": "host",
    "mqtt.node": "name",
    "mqtt.prefix": "name",
    "mqtt.username": "secret",
    "mqtt.password_file": "path",
    "mqtt.ca_file": "path",
    "mqtt.cert_file": "path",
    "mqtt.key_file": "path",
    "mqtt.discovery_prefix": "name",
    "web.host": "host",
    "web.names": "host",
    "web.token_file": "path",
    "web.cert_file": "path",
    "web.key_file": "path",
    "privacy.capture_file": "path",
    "privacy.lamp": "path",
    "privacy.button": "path",
}
OURS = ("/etc/earsight", "/var/lib/earsight", "/run/earsight", "/opt/earsight", "/dev", "/sys")
EVERYBODYS = (*OURS, "/usr", "/lib", "/proc", "/boot", "/run/systemd")  # shown in free text
ANYWHERE = ("0.0.0.0", "::")

_FILE = re.compile(r"(?<![^\s'\"(=<>])/[^\s:;,'\"()<>]+")

# What looks like one, whoever wrote it.
_LOOKS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("mail address", re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")),
    ("hardware address", re.compile(r"\b[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}\b")),
    (
        "IPv6 address",
        re.compile(r"(?<![\w:])(?=[\dA-Fa-f:]*::|([\dA-Fa-f]+:){7})[\dA-Fa-f:]{3,39}(?![\w:])"),
    ),
    ("IPv4 address", re.compile(r"(?<![\w.])\d{1,3}(\.\d{1,3}){3}(?![\w.])")),
    (
        "host",  # before a port; neither a time nor a USB device
        re.compile(
            r"((?<=//)|(?<![\w./:-]))(?=[\w.-]*[A-Za-z])(?!(?=[a-f]{0,3}\d)[\da-f]{4}:[\da-f]{4}\b)"
            r"[\w-]+(\.[\w-]+)*(?=:\d{2,5}(?![\w.:]))"
        ),
    ),
    ("token", re.compile(r"(?<![\w/.-])(?=[\w+=-]*\d)(?=[\w+=-]*[A-Za-z])[\w+=-]{24,}(?![\w/.])")),
)


def kind_of(key: str, value: Any) -> Kind:
    """Return the kind of a value of the configuration; text in no table is a secret."""
    is_text = isinstance(value, str | list | tuple) and not REFERENCE[key].choices
    return KINDS.get(key, "secret") if is_text else "plain"


def redact(kind: Kind, value: Any) -> Any:
    """Return a value's shape; what is empty stays so, because that says what is in use."""
    if isinstance(value, list | tuple):
        return [redact(kind, each) for each in value]
    if kind == "plain" or value == "":
        return value
    shapes = {"path": _path, "host": _host, "name": _name, "device": _device}
    return shapes[kind](str(value)) if kind in shapes else "<secret, set>"


def hidden_part(kind: Kind, text: str) -> str:
    """Return what `redact` leaves out of a text, "" for nothing: free text may hold it too."""
    if kind == "plain":
        return ""
    if kind != "device":
        return text
    form, _, value = text.partition(":")
    if form == "name":
        return value
    return value.split(":", 2)[2] if form == "usb" and value.count(":") > 1 else ""


class Scrubber:
    """Takes known values, and what looks like one, out of free text."""

    def __init__(self, known: Iterable[tuple[Kind, str]]) -> None:
        """Take the values that must not be seen, each with its kind."""
        found = {text: kind for kind, text in known if text.strip()}
        longest_first = sorted(found.items(), key=lambda item: -len(item[0]))
        self._known = [
            (kind, re.compile(rf"(?<!\w){re.escape(text)}(?!\w)", re.IGNORECASE))
            for text, kind in longest_first
        ]

    def text(self, text: str) -> str:
        """Return text with the kind in the place of each value."""
        text = _FILE.sub(lambda found: found[0] if _is_everybodys(found[0]) else "<path>", text)
        for kind, pattern in (*_LOOKS, *self._known):
            text = pattern.sub(f"<{kind}>", text)
        return text

    def tree(self, value: Any) -> Any:
        """Return a JSON value with every text in it scrubbed; keys stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.tree(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.tree(inner) for inner in value]
        return value


def _is_everybodys(path: str) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in EVERYBODYS)


def _path(text: str) -> str:
    path = Path(text)
    known = next((folder for folder in OURS if path.is_relative_to(folder)), "")
    try:
        mode = path.stat().st_mode
        there = f"{'folder' if path.is_dir() else 'file'} {mode & 0o777:04o}"
    except OSError:
        there = "not there"
    where = f"in {known}" if known else "absolute" if path.is_absolute() else "relative"
    return f"<path, {where}, {there}>"


def _host(text: str) -> str:
    if text == "localhost":
        return "<host, this machine>"
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return f"<host, a name of {text.count('.') + 1} parts>"
    if text in ANYWHERE:
        return "<host, every address of this machine>"
    if address.is_loopback:
        return "<host, this machine>"
    return f"<host, {'private' if address.is_private else 'public'} IPv{address.version} address>"


def _name(text: str) -> str:
    return f"<name, {len(text)} characters>"


def _device(text: str) -> str:
    kind, _, value = text.partition(":")
    if kind == "usb" and value.count(":") > 1:
        vendor, product, _ = value.split(":", 2)
        return f"usb:{vendor}:{product}:<serial>"
    if kind == "name":
        return f"name:{_name(value)}"
    return text  # default, a port, a card's id, a kind of USB device
