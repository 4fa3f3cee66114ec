"""The doctor: each check by itself, and the command."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edge import capacity, cli, doctor
from edge.board import explain_throttled, read_temperature, read_throttled
from edge.bundle import load_bundle
from edge.config import BundleSettings, DeviceConfig, GallerySettings, PrivacySettings
from edge.face.gallery import Gallery
from edge.face.gallery_file import save_gallery
from edge.mute import Mute
from edge.pipeline import Ear
from edge.sinks.journal import Journal, JournalSettings
from edge.types import Sighting, Utterance
from tests import fake_portaudio
from tests.fake_portaudio import FakeDevice
from tests.fakes import crowd

TINY = Path(__file__).parents[1] / "tests/data/tiny.bundle"


@pytest.fixture
def config(tmp_path: Path) -> DeviceConfig:
    """Return the configuration of a healthy device, microphone apart."""
    space = load_bundle(TINY).manifest.embedding
    save_gallery(tmp_path / "people.gallery", crowd(space.space_id, space.dim))
    return DeviceConfig(
        bundle=BundleSettings(path=str(TINY)),
        gallery=GallerySettings(path=str(tmp_path / "people.gallery")),
        journal=JournalSettings(folder=str(tmp_path / "journal"), max_mb=1.0, keep_free_mb=0.0),
    )


def status(config: DeviceConfig, check: str) -> tuple[str, str]:
    findings = {f.check: f for f in doctor.examine(config, listen=False)}
    return findings[check].status, findings[check].text


def test_a_healthy_device(config: DeviceConfig) -> None:
    findings = doctor.examine(config, listen=False)
    assert all("\n" not in finding.text for finding in findings)
    well = {f.check for f in findings if f.status == "ok"}
    assert {"earsight", "runtime", "bundle", "gallery", "capacity", "disk", "journal"} <= well


def test_a_bundle_or_gallery_that_does_not_fit(config: DeviceConfig, tmp_path: Path) -> None:
    absent = replace(config, bundle=BundleSettings(path=str(tmp_path / "none.bundle")))
    assert status(absent, "bundle")[0] == "fail"
    save_gallery(tmp_path / "people.gallery", Gallery("other"))
    assert "embedding space" in status(config, "gallery")[1]
    space_id = load_bundle(TINY).manifest.embedding.space_id
    save_gallery(tmp_path / "people.gallery", Gallery(space_id))
    assert status(config, "gallery") == (
        "warn",
        f"{tmp_path}/people.gallery: nobody is enrolled; run: earsight enroll NAME IMAGE",
    )


def test_a_board_that_is_too_slow_is_told_before_it_drops_anything(
    config: DeviceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "measure", lambda ear: 1.3)
    found, text = status(config, "capacity")
    assert found == "warn"
    assert text.startswith("a second of speech takes 1.3 s, more than 0.8")


def test_capacity_is_of_a_second_look() -> None:
    class Slow(Ear):
        looks = 0

        def look(self, utterance: Utterance) -> Sighting:
            Slow.looks += 1
            time.sleep(0.4 if Slow.looks == 1 else 0.04)
            return super().look(utterance)

    bundle = load_bundle(TINY)
    share = capacity.measure(Slow(bundle, Gallery(bundle.manifest.embedding.space_id)))
    assert Slow.looks == 2
    assert 0.01 <= share < 0.1
    assert "dropped" not in capacity.explain(share)


def test_a_microphone_that_is_not_there_fails(config: DeviceConfig) -> None:
    pytest.importorskip("pyaudio")
    absent = replace(config, audio=replace(config.audio, device="usb:dead:beef"))
    assert status(absent, "microphone")[0] == "fail"


def test_what_is_muted_is_not_listened_to(
    config: DeviceConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = FakeDevice("usb")
    fake_portaudio.install(monkeypatch, device)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    Mute(tmp_path / "muted").set(True)
    finding = next(f for f in doctor.examine(config) if f.check == "microphone")
    assert finding.status == "warn"
    assert finding.text.endswith("so not listened to")
    assert device.streams == []


def test_a_lamp_that_cannot_be_lit_fails_and_is_left_as_it_is(
    config: DeviceConfig, tmp_path: Path
) -> None:
    lamp = tmp_path / "lamp"
    lamp.write_text("1\n")  # a daemon listens
    assert (
        status(replace(config, privacy=PrivacySettings(lamp=str(lamp))), "permissions")[0] == "ok"
    )
    assert lamp.read_text() == "1\n"
    absent = replace(config, privacy=PrivacySettings(lamp="no-such-led"))
    found, text = status(absent, "permissions")
    assert found == "fail"
    assert "nothing is listened to" in text


def test_a_disk_without_room(config: DeviceConfig) -> None:
    little = replace(config, journal=replace(config.journal, max_mb=1e6))
    assert status(little, "disk")[0] == "warn"
    none = replace(config, journal=replace(config.journal, keep_free_mb=1e9))
    assert status(none, "disk")[0] == "fail"


def test_a_damaged_journal(config: DeviceConfig) -> None:
    Journal(config.journal).close()
    assert status(config, "journal") == ("ok", f"0 events in {config.journal.folder}")
    database = Path(config.journal.folder) / "journal.db"
    content = bytearray(database.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    database.write_bytes(content)
    assert status(config, "journal")[0] == "fail"


def test_a_check_that_breaks_is_a_finding(
    config: DeviceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "clock_synced", lambda: 1 / 0)
    assert status(config, "clock") == (
        "fail",
        "the check itself failed: ZeroDivisionError: division by zero",
    )


@pytest.mark.parametrize(
    ("bits", "expected"), [(0x50005, "fail"), (0x50000, "warn"), (0, "ok"), (None, "ok")]
)
def test_power_and_heat(
    config: DeviceConfig, monkeypatch: pytest.MonkeyPatch, bits: int | None, expected: str
) -> None:
    monkeypatch.setattr(doctor, "read_throttled", lambda: bits)
    monkeypatch.setattr(doctor, "read_temperature", lambda: 50.0)
    found, text = status(config, "board")
    assert found == expected
    if bits == 0x50005:
        assert text.startswith(
            "50 °C, under-voltage now, throttled now, under-voltage since boot, "
            "throttled since boot"
        )


def test_the_board_is_read_from_the_kernel(tmp_path: Path) -> None:
    firmware = tmp_path / "sys/devices/platform/soc/soc:firmware"
    firmware.mkdir(parents=True)
    (firmware / "get_throttled").write_text("50005\n")
    assert read_throttled(tmp_path) == 0x50005
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text("48312\n")
    assert read_temperature(tmp_path) == pytest.approx(48.312)
    assert read_temperature(tmp_path / "none") is None
    assert explain_throttled(0x8) == ["soft temperature limit now"]


def test_the_board_is_asked_through_its_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_throttled(tmp_path) is None
    program = tmp_path / "vcgencmd"
    program.write_text("#!/bin/sh\necho throttled=0x50000\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert read_throttled(tmp_path) == 0x50000


def test_the_command_fails_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("EARSIGHT_BUNDLE__PATH", str(tmp_path / "none.bundle"))
    assert cli.main(["doctor", "--quick", "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)
    assert {tuple(finding) for finding in findings} == {("check", "status", "text")}
    assert cli.main(["doctor", "--quick"]) == 1
    out = capsys.readouterr().out
    assert len(out.splitlines()) == len(findings)
    assert "FAIL  bundle" in out
