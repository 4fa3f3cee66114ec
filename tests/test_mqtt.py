"""The MQTT sink against a real broker (Debian's mosquitto), and Home Assistant's rules."""

from __future__ import annotations

import itertools
import json
import logging
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge import cli
from edge.errors import ConfigError
from edge.events import Event, Stamper
from edge.sinks.discovery import discovery
from edge.sinks.mqtt import MqttSettings, MqttSink
from tests.broker import PATIENT_S, Broker, until

client_module = pytest.importorskip("paho.mqtt.client", reason="needs pip install earsight[mqtt]")
ROOT = Path(__file__).parents[1]


class Listener:
    """A second client that hears everything and is remembered by the broker while away."""

    def __init__(self, port: int, prepare: Callable[[Any], None] = lambda _: None) -> None:
        self.messages: list[Any] = []
        self.subscribed = threading.Event()
        version = client_module.CallbackAPIVersion.VERSION2
        self.client = client_module.Client(version, client_id="listener", clean_session=False)
        prepare(self.client)
        self.client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = lambda _client, _data, message: self.messages.append(message)
        self.client.reconnect_delay_set(1, 1)
        self.client.connect_async("127.0.0.1", port)
        self.client.loop_start()
        assert self.subscribed.wait(PATIENT_S)

    def payloads(self, end: str) -> list[bytes]:
        """Return what came on the topics with an end, in order."""
        return [m.payload for m in list(self.messages) if m.topic.endswith(end)]

    def sequences(self) -> list[int]:
        """Return the numbers of the events that came, in order."""
        return [json.loads(p)["sequence"] for p in self.payloads("/event")]

    def configurations(self) -> dict[str, Any]:
        """Return topic and content of every entity that was made and not removed."""
        found = {m.topic: m.payload for m in list(self.messages) if m.topic.endswith("/config")}
        return {topic: json.loads(payload) for topic, payload in found.items() if payload}

    def stop(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def start_broker(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    started: list[Broker] = []

    def start(**options: str) -> Broker:
        started.append(Broker(tmp_path, **options))
        return started[-1]

    yield start
    for running in started:
        running.kill()


@pytest.fixture
def broker(start_broker: Callable[..., Broker]) -> Broker:
    return start_broker()


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    listening = Listener(broker.port)
    yield listening
    listening.stop()


def settings(broker: Broker, **changes: Any) -> MqttSettings:
    chosen = {"enabled": True, "host": "127.0.0.1", "port": broker.port, "node": "pi", **changes}
    return MqttSettings(**chosen)


def heard(stamper: Stamper, name: str | None = "Ada", portrait: bytes | None = b"png") -> Event:
    data = {
        "matches": [{"rank": 1, "id": "a", "name": "Ada", "score": 0.5}],
        "traits": {"female": 0.7312, "child": 0.1, "f0_hz": 200.0, "vocal_tract_cm": 14.0},
        "portrait": "/var/lib/earsight/journal/portraits/1.png",
        "decision": {"name": name, "id": name and "a", "votes": 2, "of": 3, "why": "enough votes"},
    }
    return stamper.event("heard", data, portrait)


def test_state_events_and_availability_are_seen_by_a_second_client(
    broker: Broker, listener: Listener
) -> None:
    sink = MqttSink(settings(broker))
    stamper = Stamper()
    sink.write(stamper.event("audio", {"state": "listening", "level_dbfs": -31.5}))
    sink.write(heard(stamper))
    sink.write(heard(stamper, name=None))
    until(lambda: len(listener.sequences()) == 3, "the events")
    until(lambda: b"unknown" in listener.payloads("/state")[-1], "the state")
    state = json.loads(listener.payloads("earsight/pi/state")[-1])
    assert state.pop("time")
    assert state == {
        "last_match": "unknown",
        "female_percent": 73.1,
        "audio": "listening",
        "level_dbfs": -31.5,
    }
    assert listener.payloads("earsight/pi/availability") == [b"online"]
    sink.close()
    until(lambda: listener.payloads("/availability") == [b"online", b"offline"], "the farewell")
    late = Listener(broker.port, prepare=lambda client: client.reinitialise("late"))
    until(lambda: late.payloads("/state"), "the retained state")
    assert late.payloads("/availability") == [b"offline"]
    assert late.payloads("/event") == []  # an event is not retained: it would come back for ever
    late.stop()


def test_what_the_broker_keeps_is_forgotten_on_demand(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sink = MqttSink(settings(broker))
    sink.write(heard(Stamper(), name="Ada"))
    until(lambda: sink.connected and not sink.waiting, "everything is sent")
    sink.close()
    before = Listener(broker.port)
    until(lambda: before.payloads("earsight/pi/state"), "the retained state")
    assert b"Ada" in before.payloads("earsight/pi/state")[-1]
    config = tmp_path / "device.toml"
    config.write_text(
        f'[journal]\nfolder = "{tmp_path}/journal"\n[mqtt]\nenabled = true\nnode = "pi"\n'
        f'host = "127.0.0.1"\nport = {broker.port}\n',
        encoding="utf-8",
    )
    command = ["forget", "--since", "2000-01-01", "--config", str(config)]
    assert cli.main(command) == 0
    until(lambda: b"Ada" not in before.payloads("/state")[-1], "who watches is told")
    after = Listener(broker.port, prepare=lambda client: client.reinitialise("after"))
    until(lambda: after.payloads("earsight/pi/state"), "the retained state")
    assert not any(b"Ada" in message.payload for message in after.messages)
    assert set(json.loads(after.payloads("/state")[-1]).values()) == {None}
    assert after.payloads("/availability") == [b"offline"]
    broker.kill()
    capsys.readouterr()
    assert cli.main(command) == 1
    assert "may still show the last name" in capsys.readouterr().err
    before.stop()
    after.stop()


def test_no_picture_and_no_path_leaves_unless_asked(broker: Broker, listener: Listener) -> None:
    sink = MqttSink(settings(broker))
    sink.write(heard(Stamper(), portrait=b"\x89PNG a face"))
    until(lambda: listener.payloads("/event"), "the event")
    sink.close()
    assert listener.payloads("/portrait") == []
    assert not any(b"PNG" in m.payload or b"/var/lib" in m.payload for m in listener.messages)

    sink = MqttSink(settings(broker, portraits=True))
    sink.write(heard(Stamper(), portrait=b"\x89PNG a face"))
    until(lambda: listener.payloads("/portrait") == [b"\x89PNG a face"], "the portrait")
    sink.close()
    assert not any(m.retain for m in listener.messages if m.topic.endswith("/portrait"))


def test_a_broker_that_dies_and_comes_back_costs_nothing_of_the_queue(
    broker: Broker, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    sink = MqttSink(settings(broker, queue=200))
    stamper = Stamper()
    number = itertools.count()

    def write(count: int) -> None:
        for _ in range(count):
            next(number)
            sink.write(heard(stamper))

    write(50)
    until(lambda: len(set(listener.sequences())) == 50, "the first events")
    time.sleep(1.5)  # the broker writes its sessions down once a second
    with caplog.at_level(logging.WARNING, "edge"):
        broker.kill()
        until(lambda: not sink.connected, "the loss")
        write(150)
        assert sink.waiting >= 150
        broker.start()
        until(lambda: len(set(listener.sequences())) == 200, "every event")
    assert sorted(set(listener.sequences())) == list(range(200))
    first_seen = list(dict.fromkeys(listener.sequences()))
    assert first_seen == sorted(first_seen)  # in order, over the gap
    assert sink.dropped == 0
    assert len(caplog.records) == 1  # one line for one absence
    until(lambda: sink.waiting == 0, "the last acknowledgement")
    assert listener.payloads("/availability")[-1] == b"online"
    sink.close()


def test_a_broker_that_restarts_in_mid_stream_costs_nothing(
    broker: Broker, listener: Listener
) -> None:
    """What is under way when the connection breaks is sent again, before anything newer."""
    sink = MqttSink(settings(broker))
    stamper = Stamper()
    for part in range(2):
        for _ in range(200):
            sink.write(heard(stamper))
        until(lambda part=part: len(set(listener.sequences())) > 200 * part + 10, "the stream")
        broker.stop()
        for _ in range(50):
            sink.write(heard(stamper))
        broker.start()
    until(lambda: len(set(listener.sequences())) == 500, "every event")
    first_seen = list(dict.fromkeys(listener.sequences()))
    assert first_seen == list(range(500))
    until(lambda: sink.waiting == 0, "the last acknowledgement")
    assert json.loads(listener.payloads("/state")[-1])["time"]
    sink.close()


def test_a_full_queue_drops_the_oldest_and_counts(broker: Broker, listener: Listener) -> None:
    broker.kill()
    sink = MqttSink(settings(broker, queue=10))
    stamper = Stamper()
    for _ in range(100):
        sink.write(heard(stamper))
    assert sink.dropped == 90
    broker.start()
    until(lambda: 99 in listener.sequences(), "the newest event")
    assert listener.sequences() == list(range(90, 100))
    sink.close()


def test_the_last_will_is_seen_when_the_program_is_killed(
    broker: Broker, listener: Listener
) -> None:
    program = (
        "import time; from edge.sinks.mqtt import MqttSettings, MqttSink\n"
        f"sink = MqttSink(MqttSettings(host='127.0.0.1', port={broker.port}, node='pi'))\n"
        "time.sleep(3600)"
    )
    child = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    until(lambda: listener.payloads("/availability") == [b"online"], "the greeting")
    child.kill()
    child.wait()
    until(lambda: listener.payloads("/availability") == [b"online", b"offline"], "the last will")


def test_a_broker_without_memory_is_told_everything_again(broker: Broker, tmp_path: Path) -> None:
    sink = MqttSink(settings(broker))
    until(lambda: sink.connected and not sink.waiting, "the greeting")
    broker.kill()
    (tmp_path / "mosquitto.db").unlink(missing_ok=True)
    broker.start()
    listener = Listener(broker.port)
    until(lambda: sink.connected and not sink.waiting, "the second greeting")
    until(lambda: b"online" in listener.payloads("earsight/pi/availability"), "availability")
    until(lambda: len(listener.configurations()) == 4, "discovery")
    until(lambda: listener.payloads("earsight/pi/state"), "the state")
    sink.close()
    listener.stop()


def test_closing_without_a_broker_is_quick() -> None:
    with socket.socket() as silent:  # accepts the connection and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        sink = MqttSink(MqttSettings(host="127.0.0.1", port=silent.getsockname()[1]))
        sink.write(heard(Stamper()))
        began = time.monotonic()
        sink.close()
        assert time.monotonic() - began < 5.0
    assert not sink.connected


def test_password_and_certificates(
    start_broker: Callable[..., Broker], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    passwords = tmp_path / "passwords"
    make_password = shutil.which("mosquitto_passwd")
    openssl = shutil.which("openssl")
    if make_password is None or openssl is None:
        pytest.skip("mosquitto_passwd or openssl is not installed (apt install mosquitto openssl)")
    subprocess.run([make_password, "-b", "-c", passwords, "pi", "secret"], check=True)
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    request = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout {key}"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(cert)]
    subprocess.run([openssl, *request.split(), *names], check=True, capture_output=True)
    broker = start_broker(
        rules=f"password_file {passwords}\n",
        tls=f"certfile {cert}\nkeyfile {key}\n",
    )
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "wrong").write_text("guess\n")
    safe = {"tls": True, "ca_file": str(cert), "username": "pi"}
    with caplog.at_level(logging.WARNING, "edge"):
        refused = MqttSink(settings(broker, **safe, password_file=str(tmp_path / "wrong")))
        until(lambda: "refuses" in caplog.text, "the refusal")
    assert not refused.connected
    refused.close()
    sink = MqttSink(settings(broker, **safe, password_file=str(tmp_path / "password")))
    until(lambda: sink.connected and not sink.waiting, "the connection")
    sink.close()
    with pytest.raises(ConfigError, match="password_file"):
        MqttSink(settings(broker, username="pi", password_file=str(tmp_path / "absent")))
    with pytest.raises(ConfigError, match="certificate"):
        MqttSink(settings(broker, tls=True, ca_file=str(tmp_path / "absent")))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"node": "my pi"}, "mqtt.node"),
        ({"prefix": "a/#"}, "mqtt.prefix"),
        ({"prefix": "/a"}, "mqtt.prefix"),
        ({"prefix": "a/"}, "mqtt.prefix"),
        ({"discovery_prefix": ""}, "mqtt.discovery_prefix"),
        ({"port": 70000}, "port"),
        ({"queue": 0}, "queue"),
        ({"host": ""}, "mqtt.host"),
        ({"password_file": "x"}, "username"),
        ({"ca_file": "x"}, "tls"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MqttSettings(**wrong)


# Home Assistant's rules, of its 2025 releases; the file of home-assistant/core beside each.
TOPIC = re.compile(  # components/mqtt/discovery.py, TOPIC_MATCHER
    r"homeassistant/(?P<component>\w+)/(?:[a-zA-Z0-9_-]+/)?[a-zA-Z0-9_-]+/config"
)
SHARED = {  # components/mqtt/schemas.py and entity.py: every entity
    "availability_topic",
    "payload_available",
    "payload_not_available",
    "device",
    "origin",
    "name",
    "icon",
    "unique_id",
    "entity_category",
    "qos",
}
ALLOWED = {  # components/mqtt/sensor.py and image.py
    "sensor": SHARED
    | {
        "state_topic",
        "value_template",
        "device_class",
        "state_class",
        "unit_of_measurement",
        "suggested_display_precision",
        "options",
        "expire_after",
        "force_update",
    },
    "image": SHARED | {"image_topic", "content_type", "image_encoding", "url_topic"},
}
REQUIRED = {"sensor": {"state_topic"}, "image": {"image_topic"}}
STATE_CLASSES = {  # components/sensor/const.py, DEVICE_CLASS_STATE_CLASSES; None: no device class
    None: {None, "measurement", "total", "total_increasing"},
    "enum": {None},
    "timestamp": {None},
    "sound_pressure": {None, "measurement"},
    "signal_strength": {None, "measurement"},
}
UNITS = {  # components/sensor/const.py, DEVICE_CLASS_UNITS
    "enum": {None},
    "timestamp": {None},
    "sound_pressure": {"dB", "dBA"},
    "signal_strength": {"dB", "dBm"},
}
DEVICE = {  # components/mqtt/schemas.py, MQTT_ENTITY_DEVICE_INFO_SCHEMA
    "identifiers",
    "connections",
    "manufacturer",
    "model",
    "model_id",
    "name",
    "hw_version",
    "serial_number",
    "sw_version",
    "via_device",
    "suggested_area",
    "configuration_url",
}


def check_as_home_assistant_does(topic: str, about: dict[str, Any]) -> None:
    matched = TOPIC.fullmatch(topic)
    assert matched
    component = matched["component"]
    assert set(about) <= ALLOWED[component]
    assert set(about) >= REQUIRED[component]
    assert about["device"].keys() <= DEVICE
    assert about["device"]["identifiers"]  # validate_device_has_at_least_one_identifier
    assert about["origin"]["name"]  # MQTT_ORIGIN_INFO_SCHEMA
    assert about["unique_id"]  # helpers/entity_registry.py: nobody can rename an entity without
    assert about.get("entity_category") in {None, "diagnostic"}  # a sensor refuses "config"
    assert re.fullmatch(r"\w+:[\w-]+", about.get("icon", "mdi:x"))  # config_validation.icon
    assert about.get("qos", 0) in {0, 1, 2}
    for key in (key for key in about if key.endswith("_topic")):  # util.valid_subscribe_topic
        assert 0 < len(about[key].encode()) < 65536
        assert not set(about[key]) & set("+#\0")
    device_class, unit = about.get("device_class"), about.get("unit_of_measurement")
    assert device_class in STATE_CLASSES
    assert about.get("state_class") in STATE_CLASSES[device_class]
    assert unit in UNITS.get(device_class, {unit})
    if "options" in about:  # sensor.py, validate_sensor_state_and_device_class_config
        assert about["options"]
        assert device_class == "enum"
        assert "state_class" not in about
        assert unit is None


@pytest.mark.parametrize("portraits", [False, True])
def test_discovery_keeps_home_assistants_rules(portraits: bool) -> None:
    found = discovery("homeassistant", "pi-4_b", "earsight/pi-4_b", portraits)
    for topic, about in found.items():
        if about is None:
            assert topic == "homeassistant/image/earsight_pi-4_b/portrait/config"
            assert not portraits
        else:
            check_as_home_assistant_does(topic, json.loads(json.dumps(about)))
    entities = [about for about in found.values() if about]
    assert len({about["unique_id"] for about in entities}) == len(entities) == 4 + portraits
    assert len({json.dumps(about["device"]) for about in entities}) == 1  # one device, not five


def test_what_is_published_is_what_was_checked_and_points_at_the_state(
    broker: Broker, listener: Listener
) -> None:
    sink = MqttSink(settings(broker))
    sink.write(heard(Stamper()))
    until(lambda: b"Ada" in b"".join(listener.payloads("/state")), "the state")
    until(lambda: len(listener.configurations()) == 4, "discovery")
    state = json.loads(listener.payloads("/state")[-1])
    for topic, about in listener.configurations().items():
        check_as_home_assistant_does(topic, about)
        assert about["state_topic"] == "earsight/pi/state"
        assert about["availability_topic"] == "earsight/pi/availability"
        key = re.fullmatch(r"\{\{ value_json\.(\w+) \}\}", about["value_template"])
        assert key
        assert key[1] in state
        assert "options" not in about or state[key[1]] in {None, *about["options"]}
    sink.close()
