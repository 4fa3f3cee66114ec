"""Configuration: layers and origins, strictness, the reference, and device.toml."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from edge import cli
from edge.config import (
    DEFAULT,
    DeviceConfig,
    GallerySettings,
    PrivacySettings,
    capture_file,
    flatten,
    gallery_path,
    journal_folder,
    load_config,
    state_folder,
    to_tree,
)
from edge.config_reference import REFERENCE, SECTIONS
from edge.errors import ConfigError
from edge.face.gallery import sample_gallery_path

DEVICE_TOML = Path(__file__).parents[1] / "firmware_cfg/device.toml"
NOWHERE = Path("/nonexistent/earsight.toml")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path | None = None, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path, environment or {}, NOWHERE)
    message = str(caught.value)
    assert "\n" not in message
    assert "; " in message  # what to do
    return message


def test_later_layers_win_and_are_remembered(tmp_path: Path) -> None:
    system = write(tmp_path / "system.toml", '[audio]\ndevice = "card:mic"\nrate = 44100\n')
    mine = write(tmp_path / "mine.toml", "[audio]\nrate = 48000\nstall_s = 5\n[mqtt]\nport = 1\n")
    environment = {"EARSIGHT_AUDIO__STALL_S": "6", "EARSIGHT_MQTT__TLS": "true"}
    found = load_config(mine, environment, system)
    audio = found.config.audio
    assert (audio.device, audio.rate, audio.stall_s) == ("card:mic", 48000, 6.0)
    assert (found.config.mqtt.port, found.config.mqtt.tls) == (1, True)
    assert found.origins["audio.device"] == str(system)
    assert found.origins["audio.rate"] == str(mine)
    assert found.origins["audio.stall_s"] == "EARSIGHT_AUDIO__STALL_S"
    assert found.origins["audio.zeros_s"] == DEFAULT
    assert found.origins.keys() == REFERENCE.keys()


def test_without_any_layer_the_defaults_hold() -> None:
    assert load_config(None, {}, NOWHERE).config == DeviceConfig()


def test_text_from_the_environment_is_not_parsed() -> None:
    environment = {"EARSIGHT_AUDIO__CHANNEL": "1", "EARSIGHT_MQTT__NODE": "true"}
    config = load_config(None, environment, NOWHERE).config
    assert (config.audio.channel, config.mqtt.node) == ("1", "true")


def test_other_variables_are_no_keys() -> None:
    load_config(None, {"EARSIGHT_RUNTIME": "litert", "EARSIGHT_GEOMETRY": "x"}, NOWHERE)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[audio]\ndvice = 'x'", "audio.dvice: unknown key, did you mean 'device'?"),
        ("[auido]\nrate = 1", "auido: unknown key, did you mean 'audio'?"),
        ("[mqtt]\npassword = 'secret'", "did you mean 'password_file'?"),
        ("audio = 3", "audio: must be an object"),
        ("[audio]\nrate = '48k'", "audio.rate: must be int"),
        ("[speech]\nonset = 1.5", "speech.onset: must be 0 to 1, is 1.5"),
        ("[speech]\npause = nan", "speech.pause: must be 0.1 to 10"),
        ("[service]\nlog = 'loud'", "service.log: must be one of debug, info, warning, error"),
        ("[mqtt]\nnode = 'a b'", "mqtt.node: use letters"),
        ("[audio\n", "is not TOML"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path / "wrong.toml", text)
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert says in message
    assert "secret" not in message


def test_a_missing_or_unreadable_file_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "none.toml")
    path = tmp_path / "latin.toml"
    path.write_bytes(b"# \xe9\n")
    assert "not UTF-8" in refusal(path)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("EARSIGHT_AUDIO__RAET", "audio.raet: unknown key, did you mean 'rate'?"),
        ("EARSIGHT_AUDIO__RATE", "audio.rate: must be int"),
        ("EARSIGHT_NOISE__RATE", "noise: unknown key"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(name: str, says: str) -> None:
    message = refusal(environment={name: "loud"})
    assert message.startswith(f"{name}: {says}")


def test_the_reference_has_exactly_the_keys_there_are() -> None:
    tree = to_tree(DeviceConfig())
    assert list(SECTIONS) == list(tree)
    assert list(REFERENCE) == [key for key, _ in flatten(tree)]


def test_device_toml_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["config", "--defaults"]) == 0
    assert DEVICE_TOML.read_text(encoding="utf-8") == capsys.readouterr().out


def test_device_toml_holds_every_key_with_its_default(tmp_path: Path) -> None:
    text = DEVICE_TOML.read_text(encoding="utf-8")
    assert load_config(DEVICE_TOML, {}, NOWHERE).origins == load_config(None, {}, NOWHERE).origins
    live = re.sub(r"^#(\w+ = )", r"\1", text, flags=re.MULTILINE)
    assert tomllib.loads(live) == to_tree(DeviceConfig())
    assert load_config(write(tmp_path / "live.toml", live), {}, NOWHERE).config == DeviceConfig()


def test_the_command_shows_values_and_origins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "mine.toml", '[mqtt]\nhost = "broker \\"x\\""\n')
    monkeypatch.setenv("EARSIGHT_AUDIO__RATE", "48000")
    assert cli.main(["config", "--config", str(path)]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^rate = 48000 +# EARSIGHT_AUDIO__RATE$", shown, re.MULTILINE)
    assert tomllib.loads(shown)["mqtt"]["host"] == 'broker "x"'
    assert cli.main(["config", "--config", str(path), "--json"]) == 0
    keys = json.loads(capsys.readouterr().out)
    assert keys["mqtt.host"] == {"value": 'broker "x"', "origin": str(path)}
    assert cli.main(["config", "--config", str(tmp_path / "none.toml")]) == 3


def test_where_things_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    config = DeviceConfig()
    assert state_folder() == tmp_path / "earsight"
    assert gallery_path(config.gallery) == sample_gallery_path()
    (tmp_path / "earsight").mkdir()
    (tmp_path / "earsight/people.gallery").touch()
    assert gallery_path(config.gallery) == tmp_path / "earsight/people.gallery"
    assert gallery_path(GallerySettings(path="/x")) == Path("/x")
    assert state_folder({"STATE_DIRECTORY": "/var/lib/earsight:/more"}) == Path("/var/lib/earsight")
    assert journal_folder(config.journal) == tmp_path / "earsight/journal"
    assert capture_file(PrivacySettings(), {}) is None
    run = {"RUNTIME_DIRECTORY": "/run/earsight"}
    assert capture_file(PrivacySettings(), run) == Path("/run/earsight/capture")
    assert capture_file(PrivacySettings(capture_file="/x"), run) == Path("/x")
