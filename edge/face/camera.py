"""Takes photos with a camera, a Video4Linux device, through the program ffmpeg."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

from ..errors import HardwareError, RuntimeUnavailable

SETTLING = 20  # frames until a webcam has found its exposure
SHOTS = 3  # photos taken, half a second apart
APART = 15  # frames
TIMEOUT_S = 30.0
PNG_END = b"IEND\xaeB`\x82"


def is_camera(path: Path) -> bool:
    """Tell whether a path is a device, also one that is not plugged in, and no file or folder."""
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except OSError:
        return path.is_relative_to("/dev")


def take_photos(device: Path) -> list[bytes]:
    """Return PNG files of what a camera sees, at its own size.

    Raises:
        HardwareError: it is no camera, is in use, or gives no picture.
        RuntimeUnavailable: ffmpeg is not installed.
    """
    if not device.exists():
        raise HardwareError(f"{device}: there is no such camera; plug it in (ls /dev/video*)")
    last = SETTLING + (SHOTS - 1) * APART
    chosen = "+".join(f"eq(n,{n})" for n in range(SETTLING, last + 1, APART)).replace(",", "\\,")
    command = [
        *("ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-f", "v4l2"),
        *("-i", str(device), "-vf", f"select={chosen}", "-vsync", "0"),
        *("-frames:v", str(SHOTS), "-f", "image2pipe", "-c:v", "png", "-"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
    except FileNotFoundError as exc:
        raise RuntimeUnavailable(
            "taking photos needs ffmpeg; run: sudo apt-get install ffmpeg"
        ) from exc
    except subprocess.TimeoutExpired as exc:
        raise HardwareError(
            f"{device}: gave no picture within {TIMEOUT_S:.0f} s; unplug it and plug it in again"
        ) from exc
    photos = [part + PNG_END for part in done.stdout.split(PNG_END) if part]
    if done.returncode != 0 or not photos:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        why = lines[-1].removeprefix(f"{device}: ") if lines else "no picture"
        raise HardwareError(f"{device}: {why}; check that it is a camera and not in use")
    return photos
