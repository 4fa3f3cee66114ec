"""Events to an MQTT broker, and from there to Home Assistant.

::

    PREFIX/NODE/availability   "online", "offline"     retained, last will
    PREFIX/NODE/state          the newest values       retained, JSON
    PREFIX/NODE/event          every event             JSON, as on stdout
    PREFIX/NODE/portrait       the newest portrait     PNG, only with `portraits = true`

Events come at least once; a repeated one has the same `boot_id`, `monotonic_s` and `sequence`.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError, EarsightError
from ..events import Event
from .discovery import AUDIO_STATES, AVAILABLE, UNAVAILABLE, discovery
from .jsonl import as_line
from .mqtt_link import Link, Message, publish_once

_CLOSE_S = 2.5
_FORGET_S = 10.0
_VALUES = ("last_match", "female_percent", "audio", "level_dbfs", "time")  # of the state
_LONGEST_STATE = 255  # characters that Home Assistant takes for a state


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """Section [mqtt]."""

    enabled: bool = False
    host: str = "localhost"
    port: int = 0  # 0: 1883, or 8883 with TLS
    node: str = ""  # letters, digits, "_" and "-"; empty: from the host name
    prefix: str = "earsight"
    username: str = ""
    password_file: str = ""  # its first line; a password in the configuration would be shown by it
    tls: bool = False
    ca_file: str = ""  # PEM; empty: the system's authorities
    cert_file: str = ""  # PEM, of this node, when the broker asks for one
    key_file: str = ""
    discovery: bool = True  # tell Home Assistant
    discovery_prefix: str = "homeassistant"
    portraits: bool = False  # a picture drawn from a voice leaves the device only when asked to
    queue: int = 1000  # events kept while the broker is away, about 1 kB each; the oldest go first
    keepalive_s: int = 30

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]*", self.node):
            raise ConfigError("mqtt.node: use letters, digits, '_' and '-' only")
        for key, topic in (("prefix", self.prefix), ("discovery_prefix", self.discovery_prefix)):
            if not re.fullmatch(r"[^+#/$\s\x00]([^+#\x00]*[^+#/\s\x00])?", topic):
                raise ConfigError(f"mqtt.{key}: must be a topic without '+', '#' or an outer '/'")
        if not (0 <= self.port < 65536 and self.queue > 0 and 5 <= self.keepalive_s < 65536):
            raise ConfigError("mqtt: port is 0 to 65535, queue 1 or more, keepalive_s 5 or more")
        if not self.host:
            raise ConfigError("mqtt.host: must not be empty")
        if self.password_file and not self.username:
            raise ConfigError("mqtt.password_file: needs mqtt.username")
        if (self.ca_file or self.cert_file or self.key_file) and not self.tls:
            raise ConfigError("mqtt.ca_file, cert_file and key_file: need mqtt.tls = true")


class MqttSink:
    """Hands events to a broker whenever it is there; `write` never waits for it."""

    name = "mqtt"

    def __init__(self, settings: MqttSettings) -> None:
        """Begin to connect, and go on trying for ever.

        Raises:
            RuntimeUnavailable: paho-mqtt is not installed.
            ConfigError: a password or certificate file cannot be used.
        """
        node = _node(settings)
        self._base = f"{settings.prefix}/{node}"
        self._portraits = settings.portraits
        self._values: dict[str, Any] = dict.fromkeys(_VALUES)
        offline = self._availability(UNAVAILABLE)
        self._link = Link(settings, f"earsight-{node}", offline)
        self._link.newest(self._availability(AVAILABLE))
        if settings.discovery:
            prefix = settings.discovery_prefix
            for topic, about in discovery(prefix, node, self._base, settings.portraits).items():
                payload = b"" if about is None else as_line(about).encode()
                self._link.newest(Message(topic, payload, retain=True))
        self._say_state()

    @property
    def connected(self) -> bool:
        """Whether the broker is there."""
        return self._link.connected

    @property
    def dropped(self) -> int:
        """Events that found no room in the queue, since the start."""
        return self._link.dropped

    @property
    def waiting(self) -> int:
        """Messages that the broker has not acknowledged."""
        return self._link.waiting

    def write(self, event: Event) -> None:
        """Queue one event.

        Raises:
            ValueError: the event is not JSON.
        """
        body = event.as_json()
        body.pop("portrait", None)  # a path on this device
        self._link.queue(Message(f"{self._base}/event", as_line(body).encode()))
        if values := _learn(body):
            self._values.update(values, time=body["time"])
            self._say_state()
        if event.portrait and self._portraits:
            self._link.newest(Message(f"{self._base}/portrait", event.portrait))

    def close(self) -> None:
        """Send what waits, say "offline" and disconnect; 2.5 s at most."""
        self._link.close(self._availability(UNAVAILABLE), _CLOSE_S)

    def _say_state(self) -> None:
        payload = as_line(self._values).encode()
        self._link.newest(Message(f"{self._base}/state", payload, retain=True))

    def _availability(self, value: str) -> Message:
        return Message(f"{self._base}/availability", value.encode(), retain=True)


def clear_state(settings: MqttSettings) -> None:
    """Overwrite what the broker keeps of this node's state, while no daemon does.

    Raises:
        EarsightError: the broker does not take it.
        RuntimeUnavailable: paho-mqtt is not installed.
        ConfigError: a password or certificate file cannot be used.
    """
    node = _node(settings)
    empty = as_line(dict.fromkeys(_VALUES)).encode()
    message = Message(f"{settings.prefix}/{node}/state", empty, retain=True)
    if not publish_once(settings, f"earsight-{node}-forget", message, _FORGET_S):
        raise EarsightError(
            f"the broker {settings.host} does not take the new state and may still show the last "
            "name; see to it that it can be reached, then forget again"
        )


def _node(settings: MqttSettings) -> str:
    return settings.node or re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname()) or "node"


def _learn(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an event changes in the state."""
    values: dict[str, Any] = {}
    if body["kind"] == "heard":
        name = (body.get("decision") or {}).get("name") or "unknown"
        values["last_match"] = name[:_LONGEST_STATE]
        if body["traits"]:
            values["female_percent"] = round(100 * body["traits"]["female"], 1)
    if body["kind"] == "audio" and body.get("state") in AUDIO_STATES:
        values["audio"] = body["state"]
    if "level_dbfs" in body:
        values["level_dbfs"] = body["level_dbfs"]
    return values
