"""The support dump: secrets planted wherever they may lie, and none of them in the archive."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge import cli
from edge.audio.devices import MicrophoneInfo
from edge.bundle import load_bundle
from edge.config import DeviceConfig, flatten, to_tree
from edge.config_reference import REFERENCE
from edge.events import Stamper
from edge.people.opening import open_store
from edge.people.person import Sample
from edge.sinks.journal import Journal, JournalSettings
from edge.support import facts
from edge.support.redaction import KINDS, Scrubber, kind_of, redact

TINY = Path(__file__).parents[1] / "tests/data/tiny.bundle"
NAMES = ("Zebediah Quux", "Ottoline Wigglesworth")
LOG = """\
[   10.1] earsight[7]: <4>mqtt: the broker hushhost.hidden.example:1883 went away; trying for ever
[   11.2] earsight[7]: <6>mqtt: connected to oldbroker.elsewhere.example:8883; waiting 0
[   12.3] earsight[7]: <6>page: http://192.168.77.13:8765/ with the token in /secretdir/tok
[   13.4] earsight[7]: <4>sink journal failed: Zebediah Quux is mentioned here by mistake
[   14.5] earsight[7]: <6>somebody@hidden.example, fe80::1ff:fe23:4567:890a, 0a:1b:2c:3d:4e:5f
"""
PLANTED = (
    "Zebediah", "Quux", "Ottoline", "Wigglesworth", "hushhost", "oldbroker", "elsewhere", "hidden",
    "192.168.77.13", "secretdir", "mqttuser77", "p4ssw0rd-of-the-broker", "t0ken-of-the-page",
    "nodename88", "topicprefix99", "SER1ALNUMBER", "somebody", "890a", "4e:5f", "voiceprint55",
)  # fmt: skip


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the configuration of a device full of things that are nobody's business."""
    secret = tmp_path / "secretdir"
    secret.mkdir()
    (secret / "pw").write_text("p4ssw0rd-of-the-broker\n")
    (secret / "tok").write_text("t0ken-of-the-page\n")
    space = load_bundle(TINY).manifest.embedding
    with open_store(secret / "people.gallery", space.space_id) as store:
        for number, name in enumerate(NAMES):
            vector = np.eye(space.dim, dtype=np.float32)[number]
            store.add(name, [Sample("photo", vector, b"png", f"{number:064x}", 1.0)], None)
    folder = secret / "journal"
    journal, stamper = Journal(JournalSettings(folder=str(folder), keep_free_mb=0.0)), Stamper()
    match = {"rank": 1, "id": "u0001", "name": NAMES[0], "score": 0.7}
    decision = {"id": "u0001", "name": NAMES[0], "votes": 2, "of": 2, "why": f"is {NAMES[0]}"}
    heard = {"matches": [match], "decision": decision, "voiceprint55": [0.1], "latency_ms": 12.0}
    journal.write(stamper.event("heard", heard, b"\x89PNG of Quux"))
    lost = {"state": "no_audio", "reason": f"{secret}: gone, says {NAMES[1]}", "level_dbfs": -120.0}
    journal.write(stamper.event("audio", lost))
    journal.close()
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "journalctl").write_text(f"#!/bin/sh\ncat <<'END'\n{LOG}END\n")
    (programs / "journalctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    microphone = MicrophoneInfo(
        selector="usb:0d8c:0014:SER1ALNUMBER",
        selectors=("usb:0d8c:0014:SER1ALNUMBER", "usb:0d8c:0014", "name:USB Device"),
        name="USB Device", channels=1, rate=48_000, default=True, card="Device",
        usb="0d8c:0014", serial="SER1ALNUMBER", port="1-1.2", index=0,
    )  # fmt: skip
    monkeypatch.setattr(facts, "list_microphones", lambda: [microphone])
    config = tmp_path / "device.toml"
    config.write_text(
        f'[audio]\ndevice = "usb:0d8c:0014:SER1ALNUMBER"\n[bundle]\npath = "{TINY}"\n'
        f'[gallery]\npath = "{secret}/people.gallery"\n[journal]\nfolder = "{folder}"\n'
        '[mqtt]\nenabled = true\nhost = "hushhost.hidden.example"\nnode = "nodename88"\n'
        f'prefix = "topicprefix99"\nusername = "mqttuser77"\npassword_file = "{secret}/pw"\n'
        f'[web]\nnames = ["page.hidden.example"]\ntoken_file = "{secret}/tok"\n',
        encoding="utf-8",
    )
    return config


def unpack(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        found = {}
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None
            found[Path(member.name).name] = file.read().decode()
        return found


def test_nothing_planted_is_in_the_archive_and_what_helps_is(
    device: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "dump.tar.gz"
    assert cli.main(["support-dump", "--config", str(device), "--out", str(path)]) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    members, said = unpack(path), capsys.readouterr().out
    assert all(f"  {name}\n" in said for name in members)
    for name, text in members.items():
        for secret in PLANTED:
            assert secret.casefold() not in text.casefold(), f"{secret} in {name}: {text}"
    config = json.loads(members["config.json"])
    assert config["mqtt.host"]["value"] == "<host, a name of 3 parts>"
    assert config["mqtt.username"]["value"] == "<secret, set>"
    assert config["mqtt.password_file"]["value"].startswith("<path, absolute, file 0")
    assert config["mqtt.node"]["value"] == "<name, 10 characters>"
    assert config["audio.device"]["value"] == "usb:0d8c:0014:<serial>"
    assert config["mqtt.queue"] == {"value": 1000, "origin": "default"}
    journal = json.loads(members["journal.json"])
    assert journal["of each kind"] == {"heard": 1, "audio": 1}
    lost, heard = journal["newest first"]
    assert lost["state"] == "no_audio"
    assert heard["latency_ms"] == 12.0
    assert json.loads(members["microphones.json"])[0]["usb"] == "0d8c:0014"
    assert "went away; trying for ever" in members["log.txt"]
    assert {f["check"] for f in json.loads(members["doctor.json"])} >= {"runtime", "bundle"}
    assert json.loads(members["versions.json"])["numpy"] == np.__version__


def test_what_cannot_be_had_does_not_keep_the_rest_away(
    device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off() -> Any:
        raise RuntimeError(f"no versions today, {NAMES[0]}")

    monkeypatch.setattr(facts, "versions", break_off)
    assert cli.main(["support-dump", "--config", str(device), "--out", str(tmp_path / "d")]) == 0
    members = unpack(tmp_path / "d")
    assert members["versions.json"] == "not to be had: RuntimeError: no versions today, <name>"
    assert "Device" in members["microphones.json"]


def test_every_text_key_has_a_kind() -> None:
    keys = dict(flatten(to_tree(DeviceConfig())))
    texts = {
        key
        for key, value in keys.items()
        if isinstance(value, str | list) and not REFERENCE[key].choices
    }
    assert set(KINDS) == texts, "give each new text key a kind in edge/support/redaction.py"
    assert kind_of("service.log", "info") == "plain"
    assert kind_of("mqtt.queue", 7) == "plain"


def test_a_text_key_without_a_kind_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.support.redaction.KINDS", {})
    assert redact(kind_of("mqtt.host", "somewhere"), "somewhere") == "<secret, set>"


def test_every_kind_but_plain_hides_the_value() -> None:
    for key, kind in KINDS.items():
        if kind != "plain":
            assert "canary" not in str(redact(kind, f"name:canary-{key}"))


@pytest.mark.parametrize(
    ("host", "shape"),
    [
        ("localhost", "<host, this machine>"),
        ("127.0.0.1", "<host, this machine>"),
        ("0.0.0.0", "<host, every address of this machine>"),
        ("192.168.1.9", "<host, private IPv4 address>"),
        ("2001:4860::8888", "<host, public IPv6 address>"),
        ("pi.local", "<host, a name of 2 parts>"),
    ],
)
def test_hosts_keep_their_shape(host: str, shape: str) -> None:
    assert redact("host", host) == shape


def test_what_is_no_secret_survives_free_text() -> None:
    scrubber = Scrubber([("name", "Ada")])
    for text in (
        "2026-11-23T03:18:42 12:30:55",
        "usb:0d8c:0014 is 0d8c:0014 at port:1-1.2, card:Device",
        "litert 2.3.0 ran a model with NumPy 1.26.4",
        "/opt/earsight/current/lib/python3.11/site-packages/edge/bundles/default.bundle",
        "Adamant",
    ):
        assert scrubber.text(text) == text
    assert scrubber.text("ADA said") == "<name> said"
