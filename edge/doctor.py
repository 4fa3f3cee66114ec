"""Looks for what would keep the daemon from hearing, and says what to do about each thing.

Every check stands alone: one that fails, or itself breaks, does not keep the others from being
made. "warn" is what may be meant so; only "fail" makes the command fail.
"""

from __future__ import annotations

import os
import platform
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from . import __version__, capacity
from .accelerator.checkup import examine_accelerator
from .audio.devices import list_microphones, resolve
from .audio.file import RATE
from .audio.lamp import lamp_file
from .audio.microphone import AudioBlock, Microphone
from .board import explain_throttled, read_temperature, read_throttled
from .bundle import load_bundle
from .config import DeviceConfig, gallery_path, journal_folder, key_file
from .errors import EarsightError, HardwareError
from .events import clock_synced
from .face.gallery import Gallery
from .install.store import HOME, bundle_in_use
from .mute import mute_file
from .people.opening import read_gallery
from .pipeline import Ear
from .runtime import find_backend
from .sinks.journal_file import open_for_reading
from .sinks.journal_folder import DATABASE, list_set_aside

Status = Literal["ok", "warn", "fail"]

LISTEN_S = 1.0  # of sound whose level is measured
OPEN_S = 10.0  # the longest the microphone may take to open
QUIET_DBFS, LOUD_DBFS = -70.0, -6.0  # below: muted or unplugged; above: it clips
HOT_C = 80.0  # a Raspberry Pi 4 or 5 slows down from here
UNDER_VOLTAGE = 0x1


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    check: str
    status: Status
    text: str  # one line: the facts, and unless all is well what to do


def examine(config: DeviceConfig, listen: bool = True) -> list[Finding]:
    """Make every check; `listen` opens the microphone for a second."""
    checks: Mapping[str, Callable[[DeviceConfig], tuple[Status, str]]] = {
        "earsight": check_package,
        "runtime": check_runtime,
        "accelerator": check_accelerator,
        "bundle": check_bundle,
        "gallery": check_gallery,
        "capacity": check_capacity,
        "microphone": check_microphone if listen else check_device,
        "permissions": check_permissions,
        "disk": check_disk,
        "journal": check_journal,
        "clock": check_clock,
        "board": check_board,
    }
    return [_make(name, check, config) for name, check in checks.items()]


def _make(
    name: str, check: Callable[[DeviceConfig], tuple[Status, str]], config: DeviceConfig
) -> Finding:
    try:
        return Finding(name, *check(config))
    except EarsightError as exc:
        return Finding(name, "fail", str(exc))
    except Exception as exc:  # whatever is broken here is what the user wants to know
        return Finding(name, "fail", f"the check itself failed: {type(exc).__name__}: {exc}")


def check_package(_: DeviceConfig) -> tuple[Status, str]:
    """Tell which earsight this is; under systemd it must be the installed one."""
    folder = Path(__file__).parent
    text = f"{__version__} in {folder}, Python {platform.python_version()}"
    if "INVOCATION_ID" in os.environ and not folder.is_relative_to(HOME):
        return "fail", f"{text}; the service must run the one in {HOME}: check ExecStart"
    return "ok", text


def check_runtime(_: DeviceConfig) -> tuple[Status, str]:
    """Run a tiny model: an import alone does not show a runtime built for another NumPy."""
    backend = find_backend()
    return "ok", f"{backend.name} {backend.version} ran a model with NumPy {np.__version__}"


def check_accelerator(config: DeviceConfig) -> tuple[Status, str]:
    """Run every model on the accelerator, if one is to be used."""
    path = Path(config.bundle.path) if config.bundle.path else bundle_in_use()
    return examine_accelerator(config.accelerator, load_bundle(path))


def check_bundle(config: DeviceConfig) -> tuple[Status, str]:
    """Check every hash and open every model."""
    path = Path(config.bundle.path) if config.bundle.path else bundle_in_use()
    bundle = load_bundle(path)
    for model in bundle.manifest.models:
        bundle.open(model)
    return "ok", f"{bundle.manifest.name}: {len(bundle.manifest.models)} models open; {path}"


def check_gallery(config: DeviceConfig) -> tuple[Status, str]:
    """Read the gallery, which must be of the bundle's embedding space."""
    path = Path(config.bundle.path) if config.bundle.path else bundle_in_use()
    space_id = load_bundle(path).manifest.embedding.space_id
    chosen = gallery_path(config.gallery)
    people = len(read_gallery(chosen, space_id, key_file(config.gallery)).people)
    if not people:
        return "warn", f"{chosen}: nobody is enrolled; run: earsight enroll NAME IMAGE"
    return "ok", f"{people} people in {chosen}"


def check_capacity(config: DeviceConfig) -> tuple[Status, str]:
    """Look at an utterance of noise: the CPU must keep up with speech, also without a Coral."""
    path = Path(config.bundle.path) if config.bundle.path else bundle_in_use()
    bundle = load_bundle(path)
    nobody = Gallery(bundle.manifest.embedding.space_id)
    share = capacity.measure(Ear(bundle, nobody, threads=config.bundle.threads))
    return "warn" if share > capacity.MOST else "ok", capacity.explain(share)


def check_device(config: DeviceConfig) -> tuple[Status, str]:
    """Find the microphone without opening it."""
    found = resolve(config.audio.device, list_microphones())
    return "ok", f"{found.name} ({config.audio.device}), {found.channels} channels, {found.rate} Hz"


def check_microphone(config: DeviceConfig) -> tuple[Status, str]:
    """Listen for a second and judge the level, unless this device is muted."""
    if mute_file().exists():
        return "warn", f"{check_device(config)[1]}; muted ({mute_file()}), so not listened to"
    microphone = Microphone(config.audio)
    levels: list[float] = []
    heard, what = 0, "it delivers nothing"
    patience = threading.Timer(OPEN_S, microphone.close)
    patience.daemon = True
    patience.start()
    for item in microphone.blocks():
        if isinstance(item, AudioBlock):
            heard += len(item.samples)
            levels.append(microphone.level_dbfs)
        else:
            what = f"{item.device}, {item.rate} Hz" if item.state == "listening" else item.reason
        if heard >= LISTEN_S * RATE:
            microphone.close()
    patience.cancel()
    if not levels:
        raise HardwareError(what)
    level = float(np.median(levels))
    text = f"{what}, level {level:.0f} dBFS"
    if level < QUIET_DBFS:
        return "fail", f"{text}: silence; is it muted, or its gain at zero? (alsamixer)"
    if level > LOUD_DBFS:
        return "warn", f"{text}: it clips; lower its gain (alsamixer)"
    return "ok", text


def check_permissions(config: DeviceConfig) -> tuple[Status, str]:
    """Check the sound devices and the folders the daemon writes."""
    devices = sorted(Path("/dev/snd").glob("pcmC*c"))
    closed = [str(device) for device in devices if not os.access(device, os.R_OK | os.W_OK)]
    if closed:
        return "fail", f"{', '.join(closed)}: not permitted; run: sudo usermod -aG audio $USER"
    if config.journal.enabled:
        folder = _existing(journal_folder(config.journal))
        if not os.access(folder, os.W_OK):
            return "fail", f"{folder}: not writable by this user; set journal.folder or its owner"
    lamp, button = lamp_file(config.privacy.lamp), Path(config.privacy.button)
    if lamp and not os.access(lamp if lamp.exists() else lamp.parent, os.W_OK):
        return "fail", f"{lamp}: not writable, so nothing is listened to; check privacy.lamp"
    if button.exists() and not os.access(button, os.R_OK):
        return "fail", f"{button}: not permitted; run: sudo usermod -aG input $USER"
    return "ok", f"user {os.getuid()} may use {len(devices)} capture devices and write its folders"


def check_disk(config: DeviceConfig) -> tuple[Status, str]:
    """Check that the journal's disk has the space it leaves free, and some for itself."""
    folder = _existing(journal_folder(config.journal))
    free_mb = shutil.disk_usage(folder).free / 2**20
    text = f"{free_mb:.0f} MB free at {folder}"
    if free_mb < config.journal.keep_free_mb:
        return "fail", f"{text}, less than journal.keep_free_mb; free some space"
    if free_mb < config.journal.keep_free_mb + config.journal.max_mb:
        return "warn", f"{text}: the journal cannot grow to journal.max_mb"
    return "ok", text


def check_journal(config: DeviceConfig) -> tuple[Status, str]:
    """Open the journal for reading and let SQLite check it."""
    folder = journal_folder(config.journal)
    if not config.journal.enabled:
        return "ok", "not kept"
    if not (folder / DATABASE).exists():
        return "ok", f"none yet in {folder}"
    connection = open_for_reading(folder)
    try:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        (events,) = connection.execute("SELECT count(*) FROM events").fetchone()
    finally:
        connection.close()
    if found != "ok":
        return "fail", f"{folder}: damaged ({found}); it is set aside at the next start"
    if config.privacy.keep_audio:
        return "warn", f"{events} events in {folder}, with their sound (privacy.keep_audio)"
    if aside := list_set_aside(folder):
        return "warn", f"{events} events; {len(aside)} damaged journals were set aside in {folder}"
    return "ok", f"{events} events in {folder}"


def check_clock(_: DeviceConfig) -> tuple[Status, str]:
    """Tell whether the wall clock was set since boot; nothing but labels depends on it."""
    now = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    if clock_synced():
        return "ok", f"{now}, set since boot"
    return "warn", f"{now}, perhaps wrong: not set since boot; events carry clock_synced = false"


def check_board(_: DeviceConfig) -> tuple[Status, str]:
    """Check power, heat and throttling where the board tells of them."""
    bits, heat = read_throttled(), read_temperature()
    facts = [f"{heat:.0f} °C"] if heat is not None else []
    facts += explain_throttled(bits) if bits is not None else ["no power and throttling to read"]
    text = ", ".join(facts) or "well"
    if bits is not None and bits & UNDER_VOLTAGE:
        return "fail", f"{text}; use a stronger power supply and a shorter cable"
    if bits or (heat or 0.0) >= HOT_C:
        return "warn", f"{text}; check power supply and cooling"
    return "ok", text


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())
