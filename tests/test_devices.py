"""Microphones keep their names: real-looking sysfs trees, and PortAudio's list beside them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edge.audio.cards import capture_devices, list_cards
from edge.audio.devices import (
    MicrophoneInfo,
    check_selector,
    describe,
    list_microphones,
    resolve,
)
from edge.errors import ConfigError, HardwareError
from tests.fake_portaudio import FakeDevice, install

SOC = "devices/platform/soc"
HUB = "devices/platform/scb/fd500000.pcie/pci0000:00/0000:01:00.0/usb1/1-1"


def add_card(root: Path, number: int, card_id: str, where: str, long_name: str) -> None:
    """Add a card that can record to a tree laid out as the kernel does."""
    card = root / "sys" / where / f"sound/card{number}"
    (card / f"pcmC{number}D0c").mkdir(parents=True)
    (card / "id").write_text(f"{card_id}\n")
    (card / "device").symlink_to("../..")
    sound = root / "sys/class/sound"
    sound.mkdir(parents=True, exist_ok=True)
    for folder in (card, card / f"pcmC{number}D0c"):
        (sound / folder.name).symlink_to(Path("../..") / folder.relative_to(root / "sys"))
    listing = root / "proc/asound/cards"
    listing.parent.mkdir(parents=True, exist_ok=True)
    with listing.open("a") as file:
        file.write(f"{number:2} [{card_id:15}]: driver - {long_name}\n                      more\n")


def add_usb(
    root: Path, number: int, card_id: str, port: str, serial: str = "", product: str = "USB PnP"
) -> None:
    """Add a USB sound card of one make."""
    device = root / "sys" / HUB / port
    (device / f"{port}:1.0").mkdir(parents=True)
    (device / "idVendor").write_text("0d8c\n")
    (device / "idProduct").write_text("0014\n")
    (device / "product").write_text(f"{product}\n")
    if serial:
        (device / "serial").write_text(f"{serial}\n")
    add_card(root, number, card_id, f"{HUB}/{port}/{port}:1.0", product)


def add_i2s(root: Path, number: int) -> None:
    """Add the usual card of an I2S microphone, and an HDMI card that cannot record."""
    add_card(root, number, "sndrpigooglevoi", f"{SOC}/soc:sound", "snd_rpi_googlevoicehat_soundcar")
    hdmi = root / "sys/devices/platform/soc/fef00700.hdmi/sound/card9"
    (hdmi / "pcmC9D0p").mkdir(parents=True)
    (hdmi / "id").write_text("vc4hdmi0\n")
    for folder in (hdmi, hdmi / "pcmC9D0p"):
        target = Path("../..") / folder.relative_to(root / "sys")
        (root / "sys/class/sound" / folder.name).symlink_to(target)


def usb_device(number: int, name: str = "USB PnP") -> FakeDevice:
    return FakeDevice(f"{name}: Audio (hw:{number},0)")


VOICE_HAT = "snd_rpi_googlevoicehat_soundcar: Google voiceHAT SoundCard HiFi (hw:{},0)"


@pytest.fixture
def two_boots(tmp_path: Path) -> tuple[Path, Path]:
    """Return the trees of two boots: twins without serials and an I2S card, numbered anew."""
    first, second = tmp_path / "first", tmp_path / "second"
    add_usb(first, 0, "Device", "1-1.2")
    add_usb(first, 1, "Device_1", "1-1.3")
    add_i2s(first, 2)
    add_usb(second, 0, "Device", "1-1.3")
    add_i2s(second, 1)
    add_usb(second, 2, "Device_1", "1-1.2")
    return first, second


def microphones(
    patch: pytest.MonkeyPatch, root: Path, *devices: FakeDevice
) -> list[MicrophoneInfo]:
    install(patch, *devices)
    return list_microphones(root)


def both(
    patch: pytest.MonkeyPatch, boots: tuple[Path, Path]
) -> tuple[list[MicrophoneInfo], list[MicrophoneInfo]]:
    first = microphones(
        patch, boots[0], usb_device(0), usb_device(1), FakeDevice(VOICE_HAT.format(2), 2, 48_000)
    )
    second = microphones(
        patch, boots[1], usb_device(0), FakeDevice(VOICE_HAT.format(1), 2, 48_000), usb_device(2)
    )
    return first, second


def test_what_sysfs_tells_of_a_usb_card(two_boots: tuple[Path, Path]) -> None:
    card = list_cards(two_boots[0])[1]
    assert (card.number, card.id, card.name) == (1, "Device_1", "USB PnP")
    assert (card.usb, card.serial, card.port) == ("0d8c:0014", None, "1-1.3")
    assert card.captures == (0,)


def test_cards_that_only_play_are_no_microphones(two_boots: tuple[Path, Path]) -> None:
    assert [card.id for card in list_cards(two_boots[1])] == [
        "Device",
        "sndrpigooglevoi",
        "Device_1",
    ]
    assert capture_devices(two_boots[1]) == {"pcmC0D0c", "pcmC1D0c", "pcmC2D0c"}


def test_identical_microphones_keep_their_names_when_renumbered(
    monkeypatch: pytest.MonkeyPatch, two_boots: tuple[Path, Path]
) -> None:
    first, second = both(monkeypatch, two_boots)
    assert [m.selector for m in first] == ["port:1-1.2", "port:1-1.3", "card:sndrpigooglevoi"]
    for microphone in first:
        again = resolve(microphone.selector, second)
        assert (again.port, again.name) == (microphone.port, microphone.name)
        assert again.index != microphone.index


def test_a_selector_of_twins_is_refused_with_the_ones_that_tell_them_apart(
    monkeypatch: pytest.MonkeyPatch, two_boots: tuple[Path, Path]
) -> None:
    first, _ = both(monkeypatch, two_boots)
    for selector in ["usb:0d8c:0014", "usb:0D8C:0014", "name:usb pnp"]:
        with pytest.raises(HardwareError, match=r"names 2 microphones.*port:1-1\.2, port:1-1\.3"):
            resolve(selector, first)


@pytest.mark.parametrize(
    ("serials", "selectors"),
    [
        (["A1", "B2"], ["usb:0d8c:0014:A1", "usb:0d8c:0014:B2"]),
        (["A1", "A1"], ["port:1-1.2", "port:1-1.3"]),  # cheap ones are all numbered alike
        (["A1", ""], ["usb:0d8c:0014:A1", "port:1-1.3"]),
    ],
)
def test_the_selector_offered_names_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, serials: list[str], selectors: list[str]
) -> None:
    for number, serial in enumerate(serials):
        add_usb(tmp_path, number, f"Mic_{number}", f"1-1.{number + 2}", serial)
    found = microphones(monkeypatch, tmp_path, usb_device(0), usb_device(1))
    assert [m.selector for m in found] == selectors
    for microphone in found:
        assert resolve(microphone.selector, found) is microphone


def test_a_single_usb_microphone_may_move_to_another_socket(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    add_usb(tmp_path, 3, "Device", "1-1.4", product="")
    found = microphones(monkeypatch, tmp_path, usb_device(3))
    assert found[0].selector == "usb:0d8c:0014"
    assert found[0].selectors[1:3] == ("port:1-1.4", "card:Device")
    assert found[0].name == "Device"


def test_hardware_comes_first_then_servers_and_plug_ins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    add_i2s(tmp_path, 1)
    found = microphones(
        monkeypatch,
        tmp_path,
        FakeDevice("default", 32),
        FakeDevice("speakers", 0),
        FakeDevice(VOICE_HAT.format(1), 2, 48_000),
    )
    assert [m.selector for m in found] == ["card:sndrpigooglevoi", "name:default"]
    assert resolve("default", found).name == "default"
    assert (found[0].channels, found[0].rate, found[0].index) == (2, 48_000, 2)


def test_a_card_that_portaudio_does_not_list_is_shown_as_in_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    add_usb(tmp_path, 0, "Device", "1-1.2")
    found = microphones(monkeypatch, tmp_path)
    assert found[0].index is None
    assert "in use or not permitted" in describe(found)
    with pytest.raises(HardwareError, match="another program uses it"):
        resolve("card:Device", found)


def test_an_exact_name_wins_over_parts_of_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = microphones(monkeypatch, tmp_path, FakeDevice("mic"), FakeDevice("mic 2"))
    assert resolve("name:mic", found).index == 0
    assert resolve("name: 2", found).index == 1
    with pytest.raises(HardwareError, match="names 2"):
        resolve("name:MIC", found)


def test_none_is_said_plainly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = microphones(monkeypatch, tmp_path)
    assert found == []
    assert describe(found).startswith("no microphone found")
    for selector, advice in [("default", "plug one in"), ("port:1-1.2", "plug it in")]:
        with pytest.raises(HardwareError, match=advice):
            resolve(selector, found)


def test_the_description_begins_with_what_to_write_into_the_configuration(
    monkeypatch: pytest.MonkeyPatch, two_boots: tuple[Path, Path]
) -> None:
    first, _ = both(monkeypatch, two_boots)
    assert describe(first).splitlines()[:3] == [
        "port:1-1.2",
        "    USB PnP: 1 channel, 44100 Hz, default",
        "    also usb:0d8c:0014, card:Device, name:USB PnP",
    ]
    assert dataclasses.asdict(first[0])["selector"] == "port:1-1.2"


@pytest.mark.parametrize(
    "selector",
    ["default", "usb:0d8c:0014", "usb:0D8C:0014:AB:12 x", "port:1-1", "port:3-1.4.2", "card:Mic_1"],
)
def test_selectors_that_are_understood(selector: str) -> None:
    check_selector(selector)


@pytest.mark.parametrize(
    "selector",
    ["", "2", "hw:1,0", "usb:d8c:14", "usb:0d8c", "port:1.2", "card:", "name:", "Default"],
)
def test_selectors_that_are_not(selector: str) -> None:
    with pytest.raises(ConfigError, match=r"usb:VVVV:PPPP\[:SERIAL\]"):
        check_selector(selector)
