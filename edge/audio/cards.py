"""What identifies a sound card beyond this boot: read from sysfs, without opening it.

Card numbers are handed out in the order of discovery and swap between boots. The USB identity and
the port a device is plugged into do not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Card:
    """One sound card that can record."""

    number: int  # of this boot
    id: str  # ALSA's: "sndrpigooglevoi", "Device", "Device_1"
    name: str  # for people
    usb: str | None  # "0d8c:0014", vendor and product in lower-case hexadecimal
    serial: str | None  # many cheap devices have none, or all the same
    port: str | None  # the kernel's name of the USB socket: "1-1.2", bus then hub ports
    captures: tuple[int, ...]  # numbers of its PCMs that record


def list_cards(root: Path = ROOT) -> list[Card]:
    """Return the cards that can record, by number; none where there is no sound system.

    Args:
        root: the folder that holds `sys` and `proc`.
    """
    names = _long_names(root)
    cards = []
    for folder in (root / "sys/class/sound").glob("card[0-9]*"):
        number = int(folder.name.removeprefix("card"))
        pcms = [pcm.name for pcm in folder.parent.glob(f"pcmC{number}D*c")]
        if pcms:
            captures = sorted(int(pcm.rpartition("D")[2].removesuffix("c")) for pcm in pcms)
            cards.append(_card(folder, number, tuple(captures), names.get(number)))
    return sorted(cards, key=lambda card: card.number)


def capture_devices(root: Path = ROOT) -> frozenset[str]:
    """Return the names of what can record: cheap enough to watch for something plugged in."""
    return frozenset(path.name for path in (root / "sys/class/sound").glob("pcmC*c"))


def _card(folder: Path, number: int, captures: tuple[int, ...], name: str | None) -> Card:
    card_id = _text(folder / "id") or folder.name
    device = _usb_device(folder / "device")
    if device is None:
        return Card(number, card_id, name or card_id, None, None, None, captures)
    usb = f"{_text(device / 'idVendor')}:{_text(device / 'idProduct')}".lower()
    name = _text(device / "product") or name or card_id
    return Card(number, card_id, name, usb, _text(device / "serial"), device.name, captures)


def _usb_device(interface: Path) -> Path | None:
    """Return the folder of the USB device that an interface belongs to, None for other buses."""
    if not interface.exists():
        return None
    interface = interface.resolve()
    return next((path for path in interface.parents if (path / "idVendor").is_file()), None)


def _long_names(root: Path) -> dict[int, str]:
    """Return the names in /proc/asound/cards; containers may hide it."""
    listing = _text(root / "proc/asound/cards") or ""
    entries = re.finditer(r"^ *(\d+) \[.*?\]: .*? - (.+)$", listing, re.MULTILINE)
    return {int(entry[1]): entry[2].strip() for entry in entries}


def _text(path: Path) -> str | None:
    """Return a file's text without surrounding blanks; None when empty, absent or gone."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None
