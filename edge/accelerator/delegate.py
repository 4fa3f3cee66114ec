"""Which library computes, and which files of a bundle it takes: what tells accelerators apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import ConfigError

EDGETPU = "edgetpu"  # the target of compiled files in a manifest, and the name in events
EDGETPU_LIBRARY = "libedgetpu.so.1"


@dataclass(frozen=True, slots=True)
class AcceleratorSettings:
    """Section [accelerator]."""

    use: str = "auto"
    library: str = ""
    device: str = ""
    options: str = ""
    timeout_s: float = 5.0
    open_timeout_s: float = 30.0
    retry_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Delegate:
    """A shared library with TensorFlow Lite's external delegate interface."""

    name: str  # events and messages say it
    library: str  # what the loader is given: a name or a path
    target: str  # which file of each model it takes, a key of `ModelInfo.files`
    options: Mapping[str, str]  # for tflite_plugin_create_delegate

    @property
    def is_edgetpu(self) -> bool:
        """Tell whether it is libedgetpu, which lists its devices and gives its version."""
        return self.target == EDGETPU


def choose_delegate(settings: AcceleratorSettings) -> Delegate | None:
    """Return the delegate that a configuration asks for, None for the CPU alone.

    Raises:
        ConfigError: settings that cannot work together.
    """
    if settings.use == "cpu":
        return None
    options = _parse(settings.options)
    if settings.use == "delegate":
        if not settings.library:
            raise ConfigError("accelerator.library: missing; accelerator.use = 'delegate' needs it")
        return Delegate("delegate", settings.library, "cpu", options)
    if not re.fullmatch(r"(usb|pci)?(:\d+)?", settings.device):
        raise ConfigError(
            f"accelerator.device: '{settings.device}' is none of usb, pci, usb:N, pci:N, :N"
        )
    if options and ":" not in settings.device:
        raise ConfigError(
            "accelerator.options: libedgetpu reads them only with a numbered device; "
            "set accelerator.device, for example to usb:0"
        )
    if settings.device:
        options["device"] = settings.device
    return Delegate(EDGETPU, settings.library or EDGETPU_LIBRARY, EDGETPU, options)


def _parse(text: str) -> dict[str, str]:
    """Return the options of "Key=value Key=value"."""
    options = {}
    for word in text.split():
        key, separator, value = word.partition("=")
        if not (key and separator and value):
            raise ConfigError(f"accelerator.options: '{word}' is not written Key=value")
        options[key] = value
    return options
