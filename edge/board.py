"""What the board says of itself: heat, power and throttling, read from the kernel."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path("/")
# Bits of the firmware's get_throttled, Raspberry Pi documentation, "vcgencmd"
BITS = {
    0: "under-voltage now",
    1: "frequency capped now",
    2: "throttled now",
    3: "soft temperature limit now",
    16: "under-voltage since boot",
    17: "frequency capped since boot",
    18: "throttled since boot",
    19: "soft temperature limit since boot",
}


def read_throttled(root: Path = ROOT) -> int | None:
    """Return the firmware's throttling bits, None where there is no such firmware."""
    for path in sorted(root.glob("sys/devices/platform/soc*/soc*firmware/get_throttled")):
        try:
            return int(path.read_text(encoding="ascii"), 16)
        except (OSError, ValueError):
            continue
    return _ask_firmware()


def explain_throttled(bits: int) -> list[str]:
    """Return what the bits say, in words."""
    return [text for bit, text in BITS.items() if bits >> bit & 1]


def read_temperature(root: Path = ROOT) -> float | None:
    """Return the temperature of the processor in degrees Celsius, None where it is not told."""
    try:
        text = (root / "sys/class/thermal/thermal_zone0/temp").read_text(encoding="ascii")
        return int(text) / 1000.0
    except (OSError, ValueError):
        return None


def _ask_firmware() -> int | None:
    """Ask the vcgencmd program: kernels since 2023 show the bits nowhere else."""
    program = shutil.which("vcgencmd")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "get_throttled"], capture_output=True, text=True, timeout=2, check=True
        )
        return int(done.stdout.strip().removeprefix("throttled="), 16)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
