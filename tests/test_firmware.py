"""firmware_cfg/: units that systemd accepts, an installer that leaves no trace, a stick one trusts.

The installer runs on a copy of a root file system, as an ordinary user could; `make test-boot`
runs it in a whole Debian, `make test-arm` in three for ARM.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tomllib
from pathlib import Path

import pytest

from tests.signing import make_key, sign

ROOT = Path(__file__).parents[1]
FIRMWARE = ROOT / "firmware_cfg"
PROFILES = sorted(path.parent.name for path in FIRMWARE.glob("profiles/*/about"))
UNITS = "root/etc/systemd/system"
SERVICES = sorted(FIRMWARE.glob(f"profiles/*/{UNITS}/*.service"))
SCRIPTS = [FIRMWARE / "install.sh", FIRMWARE / "stick.sh", *sorted(FIRMWARE.glob("installer/*.sh"))]
CONFIG = "# a user's own\ndtparam=audio=on\n\n[cm5]\ndtoverlay=dwc2,dr_mode=host"  # no last newline
CMDLINE = "console=tty1 root=PARTUUID=12-02 rootfstype=ext4 fsck.repair=yes rootwait quiet\n"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """Return a root file system with what the installer looks at."""
    root = tmp_path / "root"
    (root / "boot/firmware").mkdir(parents=True)
    (root / "boot/firmware/config.txt").write_text(CONFIG)
    (root / "boot/firmware/cmdline.txt").write_text(CMDLINE)
    (root / "etc/systemd/system").mkdir(parents=True)
    return root


def install(device: Path, *args: str) -> str:
    done = subprocess.run(
        [FIRMWARE / "install.sh", "--root", device, *args],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(root: Path) -> dict[str, str]:
    """Return every path below a root with what it is."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "/"
    return found


def every_profile() -> list[str]:
    return [word for profile in PROFILES for word in ("--profile", profile)]


def test_uninstalling_leaves_no_trace(device: Path) -> None:
    before = contents(device)
    install(device, *every_profile())
    assert contents(device) != before
    install(device, "--uninstall")
    assert contents(device) == before


def test_looking_changes_nothing(device: Path) -> None:
    before = contents(device)
    listed = install(device, "--dry-run", *every_profile())
    assert "add    /etc/systemd/system/earsight.service" in listed
    assert "edit   /boot/firmware/config.txt" in listed
    assert "+include earsight.txt" in install(device, "--diff", *every_profile())
    assert contents(device) == before


def test_installed_again_it_does_nothing(device: Path) -> None:
    install(device, *every_profile())
    once = contents(device)
    assert install(device, "--dry-run") == install(device, "--diff") == ""
    install(device)
    assert contents(device) == once


def test_everything_installed_was_announced(device: Path) -> None:
    listed = install(device, "--dry-run", *every_profile())
    announced = {line.split(maxsplit=1)[1].lstrip("/") for line in listed.splitlines()}
    before = contents(device)
    install(device, *every_profile())
    after = contents(device)
    changed = {name for name in after if after[name] not in ("/", before.get(name))}
    assert {name for name in changed if not name.startswith("opt/earsight/")} == announced


def test_profiles_are_remembered_and_may_change(device: Path) -> None:
    install(device, "--profile", "coral-pcie-pi5", "--profile", "field")
    boot = device / "boot/firmware"
    assert "pcie_aspm=off" in (boot / "cmdline.txt").read_text().split()
    assert "dtoverlay=disable-wifi" in (boot / "earsight.txt").read_text()
    install(device)
    assert "pcie_aspm=off" in (boot / "cmdline.txt").read_text().split()
    install(device, "--profile", "mqtt")
    assert (boot / "cmdline.txt").read_text() == CMDLINE
    assert (boot / "config.txt").read_text() == CONFIG
    assert (device / "etc/systemd/system/earsight.service.d/30-mqtt.conf").exists()


def test_what_a_user_changed_stays(device: Path) -> None:
    install(device, "--profile", "coral-pcie-pi5")
    toml = device / "etc/earsight/earsight.toml"
    toml.write_text("[audio]\nrate = 48000\n")
    config = device / "boot/firmware/config.txt"
    config.write_text(config.read_text() + "dtparam=spi=on\n")
    cmdline = device / "boot/firmware/cmdline.txt"
    cmdline.write_text(cmdline.read_text().replace(" quiet", " quiet splash"))
    said = install(device)
    assert "/etc/earsight/earsight.toml was changed" in said
    install(device, "--uninstall")
    assert toml.read_text() == "[audio]\nrate = 48000\n"
    assert config.read_text() == f"{CONFIG}\ndtparam=spi=on\n"
    assert cmdline.read_text() == CMDLINE.replace(" quiet", " quiet splash")
    install(device, "--uninstall", "--purge")
    assert not toml.exists()
    assert not (device / "opt").exists()


def test_a_file_that_was_there_before_is_neither_replaced_nor_removed(device: Path) -> None:
    theirs = device / "etc/sysusers.d/earsight.conf"
    theirs.parent.mkdir()
    theirs.write_text("u earsight 990\n")
    assert "/etc/sysusers.d/earsight.conf was changed" in install(device)
    install(device, "--uninstall")
    assert theirs.read_text() == "u earsight 990\n"


def test_an_installation_that_was_cut_off_goes_on(device: Path) -> None:
    before = contents(device)
    install(device, "--profile", "lamp")
    unit = device / "etc/systemd/system/earsight.service"
    record = device / "opt/earsight/installed/files"
    whole = contents(device)
    # as if the power had gone between the record and the last file of an update
    unit.write_text("[Unit]\nDescription=of the version before\n")
    old = hashlib.sha256(unit.read_bytes()).hexdigest()
    record.write_text(record.read_text() + f"{old}\tetc/systemd/system/earsight.service\n")
    install(device)
    assert contents(device) == whole
    install(device, "--uninstall")
    assert contents(device) == before


def test_without_a_boot_partition_it_says_what_is_left_out(tmp_path: Path) -> None:
    done = subprocess.run(
        [FIRMWARE / "install.sh", "--root", tmp_path, "--profile", "lamp"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "no boot partition of a Raspberry Pi" in done.stderr
    assert not (tmp_path / "boot").exists()


@pytest.mark.parametrize("arguments", [["--profile", "nothing"], ["--nothing"], ["--profile"]])
def test_wrong_arguments_are_one_line(device: Path, arguments: list[str]) -> None:
    before = contents(device)
    done = subprocess.run(
        [FIRMWARE / "install.sh", "--root", device, *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert re.fullmatch(r"earsight: error: .+\n", done.stderr)
    assert contents(device) == before


# --- what is installed --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root with every profile, and something that may be executed for every ExecStart."""
    root = tmp_path_factory.mktemp("installed")
    (root / "boot/firmware").mkdir(parents=True)
    for name, text in (("config.txt", CONFIG), ("cmdline.txt", CMDLINE)):
        (root / "boot/firmware" / name).write_text(text)
    install(root, *every_profile())
    return root


@needs_systemd
@pytest.mark.parametrize(
    "unit", ["earsight.service", "earsight-failure.service", "var-lib-earsight.mount"]
)
def test_systemd_has_nothing_to_say_about_a_unit(
    installed: Path, tmp_path: Path, unit: str
) -> None:
    folder = tmp_path / "system"
    shutil.copytree(installed / "etc/systemd/system", folder, symlinks=True)
    program = tmp_path / "earsight"
    program.symlink_to("/bin/true")
    for path in folder.glob("*.service"):
        path.write_text(
            path.read_text().replace("/opt/earsight/current/bin/earsight", str(program))
        )
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", folder / unit],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def exposure(unit: Path) -> float:
    """Return what `systemd-analyze security` gives a unit with its drop-ins, 0 safe, 10 unsafe."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", unit],
        capture_output=True, text=True, check=True,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{unit.parent}:"},
    )  # fmt: skip
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout
    return float(found[1])


@needs_systemd
@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.stem)
def test_services_are_shut_in(service: Path) -> None:
    assert exposure(service) <= 2.0


@needs_systemd
def test_the_daemon_stays_shut_in_with_every_profile(installed: Path) -> None:
    assert exposure(installed / "etc/systemd/system/earsight.service") <= 2.0


def settings(file: Path) -> dict[str, list[str]]:
    """Return every value of each key of a unit, in order."""
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", file.read_text(), re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


def test_the_kernel_keeps_the_daemon_offline_unless_a_profile_opens_it() -> None:
    base = settings(FIRMWARE / "profiles/base" / UNITS / "earsight.service")
    assert base["PrivateNetwork"] == ["yes"]
    assert base["IPAddressDeny"] == ["any"]
    assert base["RestrictAddressFamilies"] == ["AF_UNIX"]
    opening = {
        path.parents[5].name
        for path in FIRMWARE.glob(f"profiles/*/{UNITS}/earsight.service.d/*.conf")
        if {"IPAddressAllow", "PrivateNetwork"} & settings(path).keys()
    }
    assert opening == {"mqtt", "page"}


def test_memory_with_a_voice_in_it_reaches_no_disk() -> None:
    for service in SERVICES:
        assert settings(service)["MemorySwapMax"] == ["0"]
        assert settings(service)["LimitCORE"] == ["0"]
    swap = FIRMWARE / "profiles/base/root/etc/rpi/swap.conf.d/90-earsight.conf"
    assert settings(swap)["Mechanism"] == ["zram"]
    journald = FIRMWARE / "profiles/base/root/etc/systemd/journald.conf.d/90-earsight.conf"
    assert settings(journald)["Storage"] == ["volatile"]


def test_the_watchdog_is_patient_enough_for_the_daemon() -> None:
    from edge.config import ServiceSettings

    base = settings(FIRMWARE / "profiles/base" / UNITS / "earsight.service")
    assert base["Type"] == ["notify"]
    assert float(base["WatchdogSec"][0]) > ServiceSettings().stall_s


def test_names_are_those_of_the_daemon() -> None:
    """The button's name, and the lamp's setting, are known on both sides."""
    from edge.config import PrivacySettings, load_config

    rule = (FIRMWARE / "profiles/button/root/etc/udev/rules.d/62-earsight-button.rules").read_text()
    (link,) = re.findall(r'SYMLINK\+="(.+?)"', rule)
    assert f"/dev/{link}" == PrivacySettings().button
    drop_in = FIRMWARE / "profiles/lamp" / UNITS / "earsight.service.d/40-lamp.conf"
    variable, _, value = settings(drop_in)["Environment"][0].partition("=")
    assert load_config(environment={variable: value}).config.privacy.lamp == value
    config = (FIRMWARE / "profiles/lamp/config.txt").read_text()
    assert f"label={value}," in config


def test_the_configuration_installed_is_the_one_with_every_default() -> None:
    assert not any(tomllib.loads((FIRMWARE / "device.toml").read_text()).values())


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_whole(profile: str) -> None:
    folder = FIRMWARE / "profiles" / profile
    assert (folder / "about").read_text().count("\n") == 1
    known = {"about", "uses", "packages", "config.txt", "cmdline.txt", "root"}
    assert {path.name for path in folder.iterdir()} <= known
    for name in ("config.txt", "cmdline.txt"):
        if (folder / name).exists():
            lines = (folder / name).read_text().splitlines()
            assert max(map(len, lines)) <= 98  # the firmware reads no more
    for rules in folder.glob("root/etc/udev/rules.d/*.rules"):
        for line in rules.read_text().splitlines():
            parts = r'[A-Z_]+(\{[\w/]+\})?(==|!=|=|\+=)"[^"]*"'
            assert line.startswith("#") or re.fullmatch(rf"{parts}(, {parts})*", line), line


def udev_can_verify() -> bool:
    """Tell whether there is a udevadm of systemd 254 or later, which judges rules."""
    if shutil.which("udevadm") is None:
        return False
    done = subprocess.run(["udevadm", "verify", "--help"], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.skipif(not udev_can_verify(), reason="udevadm cannot verify before systemd 254")
def test_udev_has_nothing_to_say_about_the_rules(installed: Path) -> None:
    done = subprocess.run(
        ["udevadm", "verify", "--resolve-names=never", *installed.glob("etc/udev/rules.d/*.rules")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_config_fragments_end_for_every_board(installed: Path) -> None:
    """A fragment that ends within a section would make the next one count for that board only."""
    section = "[all]"
    for line in (installed / "boot/firmware/earsight.txt").read_text().splitlines():
        if line.startswith("# --- "):
            assert section == "[all]", line
        section = line if line.startswith("[") else section


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_has_nothing_to_say() -> None:
    done = subprocess.run(
        ["shellcheck", "--external-sources", "--source-path=SCRIPTDIR", *SCRIPTS],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""


# --- the stick ----------------------------------------------------------------------------------


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """Return a signed stick whose installer only says that it runs, and how."""
    folder = tmp_path / "stick"
    folder.mkdir()
    payload = tmp_path / "payload/firmware_cfg"
    payload.mkdir(parents=True)
    (payload / "install.sh").write_text('#!/bin/bash\necho "installing $*"\n')
    (payload / "install.sh").chmod(0o755)
    with tarfile.open(folder / "earsight-9.9-any.tar", "w") as archive:
        archive.add(payload, "firmware_cfg")
    digest = hashlib.sha256((folder / "earsight-9.9-any.tar").read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  earsight-9.9-any.tar\n")
    key = make_key(tmp_path, "maker")
    sign(folder / "SHA256SUMS", key)
    shutil.copy(key.with_suffix(".pub.pem"), folder / "earsight.pem")
    return folder


def from_stick(device: Path, stick: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FIRMWARE / "install.sh", "--root", device, "--from", stick, *args],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def trust(device: Path, key: Path) -> None:
    (device / "etc/earsight/keys").mkdir(parents=True, exist_ok=True)
    shutil.copy(key, device / "etc/earsight/keys/trusted.pem")


def test_a_signed_stick_runs_its_own_installer(device: Path, stick: Path) -> None:
    done = from_stick(device, stick, "--profile", "mqtt")
    assert done.returncode == 0, done.stderr
    assert f"installing --root {device} --profile mqtt --key " in done.stdout
    assert "no key is trusted here yet" in done.stderr


def test_once_a_key_is_trusted_no_other_counts(device: Path, stick: Path, tmp_path: Path) -> None:
    trust(device, stick / "earsight.pem")
    done = from_stick(device, stick)
    assert done.returncode == 0
    assert "no key is trusted" not in done.stderr
    trust(device, make_key(tmp_path, "other").with_suffix(".pub.pem"))
    done = from_stick(device, stick)
    assert done.returncode == 1
    assert "by none of the trusted keys" in done.stderr
    assert "installing" not in done.stdout


@pytest.mark.parametrize("name", ["earsight-9.9-any.tar", "SHA256SUMS", "SHA256SUMS.sig"])
@pytest.mark.parametrize("fault", ["changed", "missing"])
def test_a_stick_that_is_not_as_signed_is_refused(
    device: Path, stick: Path, name: str, fault: str
) -> None:
    if fault == "missing":
        (stick / name).unlink()
    else:
        content = bytearray((stick / name).read_bytes())
        content[len(content) // 2] ^= 1
        (stick / name).write_bytes(content)
    done = from_stick(device, stick)
    assert done.returncode == 1
    assert "installing" not in done.stdout
    assert "earsight: error: " in done.stderr


def test_the_key_of_a_stick_is_kept_with_the_files(device: Path, stick: Path) -> None:
    install(device, "--key", str(stick / "earsight.pem"))
    (key,) = (device / "etc/earsight/keys").iterdir()
    assert key.read_bytes() == (stick / "earsight.pem").read_bytes()
    install(device)
    assert key.exists()
    install(device, "--uninstall")
    assert not key.exists()


# --- images -------------------------------------------------------------------------------------


def test_cloud_init_seed_is_yaml_and_its_files_are_there() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    seed = FIRMWARE / "cloud-init"
    for name in ("user-data", "network-config", "meta-data"):
        assert yaml.safe_load((seed / name).read_text()) is not None
    assert (seed / "user-data").read_text().startswith("#cloud-config\n")


def test_the_image_layer_installs_a_stick() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    image = FIRMWARE / "rpi-image-gen"
    layer = (image / "layer/earsight.yaml").read_text()
    header, _, body = layer.partition("# METAEND\n")
    assert header.startswith("# METABEGIN\n# X-Env-Layer-Name: earsight\n")
    hooks = yaml.safe_load(body)["mmdebstrap"]["customize-hooks"]
    assert any("bash /mnt/stick/install.sh" in hook for hook in hooks)
    config = yaml.safe_load((image / "config/earsight-ab.yaml").read_text())
    assert config["layer"]["app"] == "earsight"
