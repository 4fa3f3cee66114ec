"""Finds microphones and tells them apart by what stays the same over a reboot.

A selector names one: `usb:VVVV:PPPP` or `usb:VVVV:PPPP:SERIAL`, `port:1-1.2` (the USB socket),
`card:ID` (ALSA's id of the card), `name:TEXT` (part of a name), or `default`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError, HardwareError
from .cards import ROOT, Card, list_cards
from .portaudio import start_portaudio

SELECTORS = "default, usb:VVVV:PPPP[:SERIAL], port:1-1.2, card:ID or name:TEXT"
_FORMS = {
    "usb": re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}(:.+)?", re.IGNORECASE),
    "port": re.compile(r"\d+-\d+(\.\d+)*"),
    "card": re.compile(r"[\w-]+"),
    "name": re.compile(r".+"),
}
_HARDWARE = re.compile(r"\((?:plug)?hw:(\d+),(\d+)\)$")  # how PortAudio's ALSA names end


@dataclass(frozen=True, slots=True)
class MicrophoneInfo:
    """One way to record, and how to name it for ever."""

    selector: str  # the most lasting one that names no other microphone
    selectors: tuple[str, ...]  # all that name it; some may name its twin too
    name: str
    channels: int  # 0 when PortAudio cannot open it
    rate: int  # its own, Hz; 0 when PortAudio cannot open it
    default: bool
    card: str | None  # ALSA's id; None for what is no hardware: sound servers, plug-ins
    usb: str | None  # vendor:product
    serial: str | None
    port: str | None
    index: int | None  # PortAudio's, for this moment only; None when it cannot be opened


def check_selector(selector: str) -> None:
    """Refuse a selector that can name no microphone.

    Raises:
        ConfigError: it has none of the forms; says which there are.
    """
    kind, _, value = selector.partition(":")
    if selector != "default" and not (kind in _FORMS and _FORMS[kind].fullmatch(value)):
        raise ConfigError(
            f"microphone {selector!r}: write {SELECTORS}; earsight devices lists what is there"
        )


def list_microphones(root: Path = ROOT) -> list[MicrophoneInfo]:
    """Return the microphones of this machine, hardware first.

    Args:
        root: the folder that holds `sys` and `proc`.

    Raises:
        HardwareError: PortAudio does not start.
        RuntimeUnavailable: PyAudio is not installed.
    """
    audio = start_portaudio()
    try:
        return find_microphones(audio, root)
    finally:
        audio.terminate()


def find_microphones(audio: Any, root: Path = ROOT) -> list[MicrophoneInfo]:
    """Return the microphones that an initialised PortAudio and sysfs know, hardware first."""
    try:
        default = int(audio.get_default_input_device_info()["index"])
    except OSError:
        default = -1
    devices = [audio.get_device_info_by_index(i) for i in range(audio.get_device_count())]
    devices = [device for device in devices if device["maxInputChannels"] > 0]
    found = []
    cards = list_cards(root)
    for card in cards:
        for number in card.captures:
            place = (str(card.number), str(number))
            own = [d for d in devices if _place(d) == place]
            found.append(_describe_card(card, cards, own[0] if own else None, default))
    known = {(str(card.number), str(n)) for card in cards for n in card.captures}
    found += [_describe_plugin(d, default) for d in devices if _place(d) not in known]
    return found


def resolve(selector: str, microphones: list[MicrophoneInfo]) -> MicrophoneInfo:
    """Return the one microphone that a selector names.

    Raises:
        HardwareError: none, or several different ones, or one that cannot be opened.
    """
    named = [m for m in microphones if _matches(selector, m)]
    if not named and selector == "default":
        others = "choose one with audio.device" if microphones else "plug one in"
        raise HardwareError(f"no default microphone; {others}, see earsight devices")
    if not named:
        raise HardwareError(f"no microphone {selector}; plug it in, or see earsight devices")
    if selector.startswith("name:"):
        named = [m for m in named if m.name == selector[5:]] or named
    choices = list(dict.fromkeys(m.selector for m in named))
    if len(choices) > 1:
        raise HardwareError(
            f"{selector} names {len(choices)} microphones; choose one: {', '.join(choices)}"
        )
    # a card with several inputs: the first that can be opened
    chosen = next((m for m in named if m.index is not None), named[0])
    if chosen.index is None:
        raise HardwareError(
            f"{chosen.name} ({selector}) is plugged in but cannot be opened; another program uses "
            "it, or this user is not in the group audio"
        )
    return chosen


def describe(microphones: list[MicrophoneInfo]) -> str:
    """Return what `earsight devices` prints: a block for each microphone, its selector first."""
    if not microphones:
        return "no microphone found; plug one in, or check that this user is in the group audio"
    blocks = []
    for mic in microphones:
        what = (
            "in use or not permitted"
            if mic.index is None
            else f"{mic.channels} channel{'s' * (mic.channels > 1)}, {mic.rate} Hz"
        )
        lines = [mic.selector, f"    {mic.name}: {what}{', default' * mic.default}"]
        if others := [s for s in mic.selectors if s != mic.selector]:
            lines.append(f"    also {', '.join(others)}")
        blocks.append("\n".join(lines))
    return "\n".join(blocks)


def _matches(selector: str, mic: MicrophoneInfo) -> bool:
    kind, _, value = selector.partition(":")
    if kind == "default":
        return mic.default
    if kind == "name":
        return value.casefold() in mic.name.casefold()
    if kind == "usb":
        usb, serial = value[:9].lower(), value[10:]
        return mic.usb == usb and serial in ("", mic.serial)
    return selector in mic.selectors


def _describe_card(
    card: Card, cards: list[Card], device: Any | None, default: int
) -> MicrophoneInfo:
    selectors = [f"card:{card.id}", f"name:{card.name}"]
    twins = [other for other in cards if card.usb and other.usb == card.usb]
    if card.usb:
        selectors[:0] = [f"usb:{card.usb}", f"port:{card.port}"]
        if card.serial:
            selectors.insert(0, f"usb:{card.usb}:{card.serial}")
            twins = [other for other in twins if other.serial == card.serial]
        if len(twins) > 1:  # nothing but the socket tells them apart
            selectors.sort(key=lambda selector: not selector.startswith("port:"))
    index = None if device is None else int(device["index"])
    return MicrophoneInfo(
        selector=selectors[0],
        selectors=tuple(selectors),
        name=card.name,
        channels=int(device["maxInputChannels"]) if device is not None else 0,
        rate=round(device["defaultSampleRate"]) if device is not None else 0,
        default=index == default,
        card=card.id,
        usb=card.usb,
        serial=card.serial,
        port=card.port,
        index=index,
    )


def _describe_plugin(device: Any, default: int) -> MicrophoneInfo:
    selector = f"name:{device['name']}"
    return MicrophoneInfo(
        selector=selector,
        selectors=(selector,),
        name=str(device["name"]),
        channels=int(device["maxInputChannels"]),
        rate=round(device["defaultSampleRate"]),
        default=int(device["index"]) == default,
        card=None,
        usb=None,
        serial=None,
        port=None,
        index=int(device["index"]),
    )


def _place(device: Any) -> tuple[str, ...] | None:
    """Return the numbers of card and PCM in the name of an ALSA device."""
    found = _HARDWARE.search(device["name"])
    return found.groups() if found else None
