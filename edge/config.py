"""The device's configuration: defaults, then files, then the environment; every key checked.

Later layers win, and each value remembers which layer it came from:

1. the defaults, which are those of the dataclasses below
2. `/etc/earsight/earsight.toml`, when it is there
3. the file given with `--config`
4. the environment: `EARSIGHT_AUDIO__DEVICE=usb:0d8c:0014` sets `audio.device`

`config_reference.py` says what each key means and which numbers make sense.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from .accelerator.delegate import AcceleratorSettings
from .audio.microphone import MicrophoneSettings
from .audio.speech import SpeechRules
from .config_reference import REFERENCE
from .errors import ConfigError
from .face.gallery import sample_gallery_path, user_gallery_path
from .schema import read_dataclass
from .sinks.journal import JournalSettings
from .sinks.jsonl import StdoutSettings
from .sinks.mqtt import MqttSettings
from .votes import DecisionSettings
from .web.settings import WebSettings

SYSTEM_FILE = Path("/etc/earsight/earsight.toml")
PREFIX, SEPARATOR = "EARSIGHT_", "__"  # a variable without the separator is none of the keys
DEFAULT = "default"  # origin of a value nobody set

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BundleSettings:
    """Section [bundle]."""

    path: str = ""
    threads: int = 1


@dataclass(frozen=True, slots=True)
class GallerySettings:
    """Section [gallery]."""

    path: str = ""
    top: int = 5
    key_file: str = ""
    engine: str = ""
    review_days: int = 14


@dataclass(frozen=True, slots=True)
class PrivacySettings:
    """Section [privacy]."""

    keep_audio: bool = False
    capture_file: str = ""
    lamp: str = ""
    button: str = "/dev/input/earsight-mute"


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Section [service]."""

    waiting: int = 4
    stall_s: float = 15.0
    log: str = "info"


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """Everything the daemon can be told; a section for each stage, which sees nothing else."""

    audio: MicrophoneSettings = field(default_factory=MicrophoneSettings)
    speech: SpeechRules = field(default_factory=SpeechRules)
    bundle: BundleSettings = field(default_factory=BundleSettings)
    accelerator: AcceleratorSettings = field(default_factory=AcceleratorSettings)
    gallery: GallerySettings = field(default_factory=GallerySettings)
    decision: DecisionSettings = field(default_factory=DecisionSettings)
    journal: JournalSettings = field(default_factory=lambda: JournalSettings(folder=""))
    stdout: StdoutSettings = field(default_factory=StdoutSettings)
    mqtt: MqttSettings = field(default_factory=MqttSettings)
    web: WebSettings = field(default_factory=WebSettings)
    privacy: PrivacySettings = field(default_factory=PrivacySettings)
    service: ServiceSettings = field(default_factory=ServiceSettings)


@dataclass(frozen=True, slots=True)
class Effective:
    """The configuration in force and where it comes from."""

    config: DeviceConfig
    origins: Mapping[str, str]  # "section.key" → file, variable or "default"


def load_config(
    path: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    system: Path = SYSTEM_FILE,
) -> Effective:
    """Read every layer.

    Args:
        path: a file of the user's; it must exist.
        environment: where `EARSIGHT_SECTION__KEY` variables are looked for.
        system: the machine's own file; may be missing.

    Raises:
        ConfigError: a file cannot be read, or a key or value is wrong; names layer and key.
    """
    tree = _tree(DeviceConfig())
    config = DeviceConfig()
    origins = {key: DEFAULT for key, _ in flatten(tree)}
    layers = [(str(file), _read(file)) for file in (system, path) if file and _wanted(file, path)]
    for name, layer in [*layers, *_variables(environment)]:
        tree = _merged(tree, layer)
        config = _checked(tree, name)
        origins |= {key: name for key, _ in flatten(layer)}
    return Effective(config, origins)


def flatten(tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield ("section.key", value) of a tree of two levels."""
    for section, values in tree.items():
        for key, value in values.items():
            yield f"{section}.{key}", value


def to_tree(config: DeviceConfig) -> Tree:
    """Return the values of a configuration by section and key, as TOML has them."""
    return _tree(config)


def state_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where this device keeps what must last: systemd's StateDirectory, else the user's."""
    given = environment.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else user_gallery_path().parent


def gallery_path(settings: GallerySettings) -> Path:
    """Return the gallery to rank: the one set, else that of this device, else the sample."""
    if settings.path:
        return Path(settings.path)
    own = state_folder() / user_gallery_path().name
    return own if own.exists() else sample_gallery_path()


def key_file(settings: GallerySettings) -> Path | None:
    """Return the file of the gallery's key; None: systemd's credential, or no encryption."""
    return Path(settings.key_file) if settings.key_file else None


def journal_folder(settings: JournalSettings) -> Path:
    """Return the folder of the journal."""
    return Path(settings.folder) if settings.folder else state_folder() / "journal"


def capture_file(
    settings: PrivacySettings, environment: Mapping[str, str] = os.environ
) -> Path | None:
    """Return the file that shows whether the microphone is open, None for no such file."""
    if settings.capture_file:
        return Path(settings.capture_file)
    runtime = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(runtime) / "capture" if runtime else None


def _tree(config: DeviceConfig) -> Tree:
    tree: Tree = json.loads(json.dumps(asdict(config)))  # tuples become lists, as in TOML
    return tree


def _wanted(file: Path, given: Path | None) -> bool:
    return file == given or file.exists()


def _read(file: Path) -> Tree:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"{file}: cannot be read ({exc.strerror}); check the name") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{file}: is not UTF-8 text; save it as UTF-8") from exc
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{file}: is not TOML ({exc}); see: earsight config --defaults") from exc


def _variables(environment: Mapping[str, str]) -> Iterator[tuple[str, Tree]]:
    """Yield each variable as a layer of its own."""
    for name, text in sorted(environment.items()):
        if name.startswith(PREFIX) and SEPARATOR in name:
            section, _, key = name.removeprefix(PREFIX).lower().partition(SEPARATOR)
            yield name, {section: {key: _parsed(section, key, text)}}


def _parsed(section: str, key: str, text: str) -> Any:
    """Return the text itself for a key that is text, else the TOML value that it is."""
    owner = get_type_hints(DeviceConfig).get(section)
    if owner is None or get_type_hints(owner).get(key, str) is str:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # of the wrong type, as the check then says


def _merged(tree: Tree, layer: Tree) -> Tree:
    merged = dict(tree)
    for section, values in layer.items():
        old = merged.get(section)
        both = isinstance(old, dict) and isinstance(values, dict)
        merged[section] = {**old, **values} if both and old is not None else values
    return merged


def _checked(tree: Tree, layer: str) -> DeviceConfig:
    try:
        config = read_dataclass(DeviceConfig, tree, ConfigError)
        for section in fields(DeviceConfig):
            for key, value in asdict(getattr(config, section.name)).items():
                _hold(f"{section.name}.{key}", value)
    except ConfigError as exc:
        raise ConfigError(f"{layer}: {exc}; see: earsight config --defaults") from exc
    return config


def _hold(key: str, value: Any) -> None:
    """Hold a number to its range and a word to its choices."""
    limits = REFERENCE[key]
    if limits.choices and value not in limits.choices:
        raise ConfigError(f"{key}: must be one of {', '.join(limits.choices)}, is {value!r}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = limits.range
        if not low <= value <= high:
            raise ConfigError(f"{key}: must be {low:g} to {high:g}, is {value:g}")
