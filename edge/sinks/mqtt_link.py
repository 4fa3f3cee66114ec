"""The connection to an MQTT broker: kept up for ever, with a bounded queue for when it is not.

Everything is sent at least once (QoS 1). What was sent and not acknowledged is kept and repeated
by the client library, at most `WINDOW` messages; everything else waits here. Order is kept over
a lost connection: nothing new is sent before the repeated messages are acknowledged, so that an
old value cannot overwrite a newer one on the broker.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, RuntimeUnavailable

if TYPE_CHECKING:
    from paho.mqtt.client import Client

    from .mqtt import MqttSettings

WINDOW = 20  # messages sent and not yet acknowledged
LONGEST_RETRY_S = 60  # between attempts to connect, doubled from 1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """One publication."""

    topic: str
    payload: bytes
    retain: bool = False


class Link:
    """Publishes without ever waiting for the broker. Any thread may call it."""

    def __init__(self, settings: MqttSettings, client_id: str, will: Message) -> None:
        """Begin to connect, and go on trying for ever.

        Args:
            settings: where the broker is and how to prove who we are.
            client_id: the same at every start: the broker then ends the old session, and sends its
                last will before, not after, anything of the new one.
            will: what the broker publishes when the connection is lost.

        Raises:
            RuntimeUnavailable: paho-mqtt is not installed.
            ConfigError: a password or certificate file cannot be used.
        """
        self._limit = settings.queue
        self._changed = threading.Condition()
        self._queue: deque[Message] = deque()
        self._newest: dict[str, Message] = {}  # by topic; goes before the queue
        self._retained: dict[str, Message] = {}  # by topic; said again at each connection
        self._in_flight = 0
        self._repeating = False  # the library repeats what the last connection left open
        self._stopping = False
        self._complained = False
        self.connected = False
        self.dropped = 0  # messages of the queue that found no room
        self._client = _make_client(settings, client_id)
        self._client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = lambda *_: self._complain("cannot be reached")
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        port = _port(settings)
        self._where = f"{settings.host}:{port}"
        self._client.connect_async(settings.host, port, settings.keepalive_s)
        self._client.loop_start()
        threading.Thread(target=self._send, name="mqtt sender", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Messages that the broker has not acknowledged."""
        with self._changed:
            return len(self._queue) + len(self._newest) + self._in_flight

    def queue(self, message: Message) -> None:
        """Send a message in its turn; without room the oldest is dropped."""
        with self._changed:
            if len(self._queue) >= self._limit:
                self._queue.popleft()
                self.dropped += 1
            self._queue.append(message)
            self._changed.notify_all()

    def newest(self, message: Message) -> None:
        """Send a value in place of an older one of its topic; a retained one at each connection."""
        with self._changed:
            self._newest[message.topic] = message
            if message.retain:
                self._retained[message.topic] = message
            self._changed.notify_all()

    def close(self, farewell: Message, timeout_s: float) -> None:
        """Send what waits, then the farewell, and disconnect, all within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._wait_until_acknowledged(deadline - timeout_s / 4)
            if left := len(self._queue):
                _log.warning("mqtt: %s did not take the last %d events", self._where, left)
            self._queue.clear()
            self._newest = {farewell.topic: farewell}
            self._changed.notify_all()
            self._wait_until_acknowledged(deadline)
            self._stopping = True
            self._changed.notify_all()
        self._client.disconnect()
        # the library's own stop waits without limit for an attempt to connect to end
        stopper = threading.Thread(target=self._client.loop_stop, daemon=True)
        stopper.start()
        stopper.join(max(0.0, deadline - time.monotonic()))

    def _wait_until_acknowledged(self, deadline: float) -> None:
        """Wait, with the lock held, until nothing is open, it is too late or nobody is there."""

        def done() -> bool:
            left = self._queue or self._newest or self._in_flight
            return not left or not self.connected

        self._changed.wait_for(done, max(0.0, deadline - time.monotonic()))

    def _send(self) -> None:
        """Publish, in a thread of its own: the library must not be called with the lock held."""
        from paho.mqtt.client import MQTT_ERR_QUEUE_SIZE

        while (message := self._next()) is not None:
            rc = MQTT_ERR_QUEUE_SIZE
            while rc == MQTT_ERR_QUEUE_SIZE:  # its 16-bit number is still in use: take the next
                rc = self._client.publish(message.topic, message.payload, 1, message.retain).rc

    def _next(self) -> Message | None:
        def ready() -> bool:
            free = self.connected and not self._repeating and self._in_flight < WINDOW
            return self._stopping or (free and bool(self._newest or self._queue))

        with self._changed:
            self._changed.wait_for(ready)
            if self._stopping:
                return None
            self._in_flight += 1
            if self._newest:
                return self._newest.pop(next(iter(self._newest)))
            return self._queue.popleft()

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
        if reason.is_failure:
            self._complain(f"refuses: {reason}; check mqtt.username and mqtt.password_file")
            return
        with self._changed:
            self.connected = True
            self._complained = False
            self._repeating = self._in_flight > 0
            self._newest = {**self._retained, **self._newest}  # the broker may have lost them
            waiting, dropped = len(self._queue), self.dropped
            self._changed.notify_all()
        _log.info("mqtt: connected to %s; waiting %d, dropped %d", self._where, waiting, dropped)

    def _on_disconnect(
        self, _client: Any, _data: Any, _flags: Any, reason: Any, _more: Any
    ) -> None:
        with self._changed:
            self.connected = False
            self._changed.notify_all()
        if reason.is_failure and not self._stopping:
            self._complain(f"went away: {reason}")

    def _on_publish(self, *_: Any) -> None:
        with self._changed:
            self._in_flight -= 1
            self._repeating = self._repeating and self._in_flight > 0
            self._changed.notify_all()

    def _complain(self, what: str) -> None:
        """Log once for each time the broker is away."""
        if not self._complained:
            self._complained = True
            _log.warning("mqtt: the broker %s %s; trying for ever", self._where, what)


def publish_once(
    settings: MqttSettings, client_id: str, message: Message, timeout_s: float
) -> bool:
    """Publish one message and disconnect; tell whether the broker acknowledged it in time.

    Raises:
        RuntimeUnavailable: paho-mqtt is not installed.
        ConfigError: a password or certificate file cannot be used.
    """
    client = _make_client(settings, client_id)
    try:
        client.connect(settings.host, _port(settings), settings.keepalive_s)
    except OSError as exc:
        _log.warning("mqtt: %s:%d: %s", settings.host, _port(settings), exc)
        return False
    client.loop_start()
    sent = client.publish(message.topic, message.payload, 1, message.retain)
    with contextlib.suppress(RuntimeError):  # the connection was lost at once
        sent.wait_for_publish(timeout_s)
    client.disconnect()
    client.loop_stop()
    return sent.is_published()


def _port(settings: MqttSettings) -> int:
    return settings.port or (8883 if settings.tls else 1883)


def _make_client(settings: MqttSettings, client_id: str) -> Client:
    try:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion
    except ImportError as exc:
        raise RuntimeUnavailable(
            "[mqtt] needs paho-mqtt 2 or later; run: pip install 'earsight[mqtt]'"
        ) from exc
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id)
    client.max_inflight_messages_set(WINDOW)
    client.reconnect_delay_set(1, LONGEST_RETRY_S)
    if settings.username:
        client.username_pw_set(settings.username, _password(settings.password_file))
    if settings.tls:
        try:
            client.tls_set(
                ca_certs=settings.ca_file or None,
                certfile=settings.cert_file or None,
                keyfile=settings.key_file or None,
            )
        except (OSError, ValueError) as exc:
            raise ConfigError(f"mqtt: the certificate files cannot be used ({exc})") from exc
    return client


def _password(path: str) -> str | None:
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, ValueError) as exc:
        raise ConfigError(f"mqtt.password_file: cannot be read ({exc})") from exc
