"""libedgetpu's own C interface, through ctypes: its version and the devices it sees.

Source: google-coral/libedgetpu, tflite/public/edgetpu_c.h.
"""

from __future__ import annotations

import ctypes
from typing import Any

TYPES = {0: "pci", 1: "usb"}


class _Device(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("path", ctypes.c_char_p))


def read_version(library: ctypes.CDLL) -> str:
    """Return what the library says of itself, "BuildLabel(...), RuntimeVersion(14)"."""
    function: Any = library.edgetpu_version
    function.restype = ctypes.c_char_p
    return (function() or b"").decode(errors="replace")


def list_devices(library: ctypes.CDLL) -> list[str]:
    """Return the devices that the library would open, "usb /sys/bus/usb/devices/2-1"."""
    enumerate_, free = library.edgetpu_list_devices, library.edgetpu_free_devices
    enumerate_.restype = ctypes.POINTER(_Device)
    free.argtypes = [ctypes.POINTER(_Device)]
    count = ctypes.c_size_t(0)
    devices = enumerate_(ctypes.byref(count))
    if not count.value:
        return []
    found = [
        f"{TYPES.get(device.type, 'other')} {(device.path or b'').decode(errors='replace')}"
        for device in devices[: count.value]
    ]
    free(devices)
    return found
