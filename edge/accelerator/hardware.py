"""What the kernel knows of Coral accelerators, read from /sys, /proc and /dev without a library.

Ids: google-coral/libedgetpu, driver/usb/usb_device_interface and driver/beagle; a USB stick shows
1a6e:089a until its firmware is loaded, which libedgetpu does when it opens the device, and
18d1:9302 from then on. The PCIe card is 1ac1:089a and gets /dev/apex_N from the gasket driver.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path("/")
USB_IDS = {("1a6e", "089a"): "no firmware yet", ("18d1", "9302"): "firmware loaded"}
PCI_ID = ("0x1ac1", "0x089a")
SLOW_MBITS = 480  # USB 2: parameters and pictures pass ten times slower than over USB 3


@dataclass(frozen=True, slots=True)
class Coral:
    """One accelerator that is plugged in."""

    bus: Literal["usb", "pci"]
    id: str  # "1a6e:089a"
    condition: str  # "no firmware yet", "firmware loaded", "driver loaded", "no driver"
    node: Path | None  # what must be opened to use it; None without a driver
    mbits: int  # speed of the USB, 0 on PCIe

    def may_open(self) -> bool:
        """Tell whether this user may use the device."""
        return self.node is not None and os.access(self.node, os.R_OK | os.W_OK)

    def describe(self) -> str:
        """Return what and where it is, for a message."""
        slow = ", on USB 2: slow" if 0 < self.mbits <= SLOW_MBITS else ""
        return f"{self.bus.upper()} {self.id}, {self.condition}{slow}"


def find_corals(root: Path = ROOT) -> list[Coral]:
    """Return every Coral that the kernel sees; `root` is / but for tests."""
    return [*_usb(root), *_pci(root)]


def find_holders(coral: Coral, root: Path = ROOT) -> list[str]:
    """Return who has the device open, "name (pid N)", as far as this user may see."""
    holders = []
    for process in sorted(root.glob("proc/[0-9]*")):
        if process.name != str(os.getpid()) and coral.node in _opened(process):
            name = _read(process / "comm") or "a program"
            holders.append(f"{name} (pid {process.name})")
    return holders


def read_package(root: Path = ROOT) -> str:
    """Return the installed Debian package of libedgetpu and its version, "" when there is none."""
    text = _read(root / "var/lib/dpkg/status")
    for paragraph in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line)
        installed = fields.get("Status", "").endswith(" installed")
        if installed and fields.get("Package", "").startswith("libedgetpu"):
            return f"{fields['Package']} {fields.get('Version', '')}".rstrip()
    return ""


def _usb(root: Path) -> Iterator[Coral]:
    for device in sorted(root.glob("sys/bus/usb/devices/*")):
        vendor, product = _read(device / "idVendor"), _read(device / "idProduct")
        condition = USB_IDS.get((vendor, product))
        if condition is not None:
            bus, number = _number(device / "busnum"), _number(device / "devnum")
            node = root / f"dev/bus/usb/{bus:03}/{number:03}"
            speed = _number(device / "speed")
            yield Coral("usb", f"{vendor}:{product}", condition, node, speed)


def _pci(root: Path) -> Iterator[Coral]:
    nodes = sorted(root.glob("dev/apex_*"))
    for device in sorted(root.glob("sys/bus/pci/devices/*")):
        if (_read(device / "vendor"), _read(device / "device")) == PCI_ID:
            node = nodes.pop(0) if nodes else None
            condition = "driver loaded" if node else "no driver"
            yield Coral("pci", "1ac1:089a", condition, node, 0)


def _opened(process: Path) -> set[Path]:
    """Return what a process has open; nothing where this user may not look."""
    try:
        return {descriptor.readlink() for descriptor in (process / "fd").iterdir()}
    except OSError:
        return set()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = _read(path)
    return int(float(text)) if text.replace(".", "", 1).isdigit() else 0
