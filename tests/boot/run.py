"""Boot a whole Debian, install earsight from a signed stick without a network, and take it off.

Run: make test-boot (as root, on Debian with systemd-container, mmdebstrap and the network)

The machine is a container with a systemd of its own. It has no network and no sound card. What it
cannot show: a microphone, a board's boot partition, and the kernel's packet filter, which a
container may not load.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = "systemd,systemd-sysv,dbus,udev,python3,libasound2,openssl"
PROGRAMS = ("mmdebstrap", "systemd-nspawn", "openssl", "apt-get")
UNIT = """\
[Unit]
After=multi-user.target
[Service]
Type=exec
ExecStart=/bin/bash /proof/proof.sh
"""
EXPECTED: Mapping[str, str] = {
    "install: exit code": "0",
    "install: service": "active/running",
    "install again: exit code": "0",
    "install again: version": "same",
    "install again: process": "same",
    "sandbox: network": "none",
    "sandbox: user": "earsight",
    "sandbox: capabilities": "0000000000000000",
    "sandbox: seccomp": "2",
    "state: mode": "700 earsight",
    "stalled: restarts": "1",
    "stalled: service": "running",
    "stalled: watchdog in the log": "1",
    "bundle install: exit code": "0",
    "bundle install: in use": "1",
    "bundle rollback: exit code": "0",
    "broken version: exit code": "1",
    "broken version: version": "before",
    "broken version: service": "running",
    "broken version: versions kept": "1",
    "wrong configuration: service": "failed",
    "wrong configuration: restarts": "0",
    "wrong configuration: doctor": "kept",
    "uninstall: exit code": "0",
    "uninstall: user": "none",
    "uninstall: unit": "not-found",
}
# what a system that runs writes by itself, and the books of those who keep them
BOOKS = re.compile(
    r"/(var/(log|cache|lib/(dpkg|systemd|private))|root|etc/(passwd|group|g?shadow|sub[ug]id)-)(/.*)?"
    r"|/etc/(ld\.so\.cache|\.pwd\.lock|machine-id)|/(var|var/lib|etc|boot|home|srv)"
)


def main() -> int:
    """Run the proof; return 0 when every check found what it should."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=ROOT / "work/boot", help="folder to work in")
    parser.add_argument("--report", type=Path, help="Markdown file to write")
    args = parser.parse_args()
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        print(f"skipped: needs {', '.join(missing)} (apt-get install systemd-container mmdebstrap)")
        return 0
    args.work.mkdir(parents=True, exist_ok=True)
    image = make_image(args.work / "root.tar")
    stick, broken = make_sticks(args.work)
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        machine = Path(folder) / "machine"
        boot(machine, image, stick, broken)
        found = read_results(machine / "proof")
        left = traces(machine / "proof")
        shutil.copy(machine / "proof/log", args.work / "log")
    faults = list(judge(found, left))
    text = report(found, left)
    print(text)
    if args.report:
        args.report.write_text(text, encoding="utf-8")
    for fault in faults:
        print(f"FAILED {fault}", file=sys.stderr)
    return int(bool(faults))


def make_image(image: Path) -> Path:
    """Build a minimal Debian with systemd, once."""
    if not image.exists():
        new = image.with_suffix(".new.tar")
        run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm", new)
        new.rename(image)
    return image


def make_sticks(work: Path) -> tuple[Path, Path]:
    """Make a signed stick of these sources, and one of a daemon that ends at once."""
    key, stick, broken = work / "key.pem", work / "stick", work / "broken"
    for folder in (stick, broken):
        shutil.rmtree(folder, ignore_errors=True)
    run("openssl", "genpkey", "-algorithm", "ed25519", "-out", key)
    bundle = ROOT / "edge/bundles/default.bundle"
    run(
        ROOT / "firmware_cfg/stick.sh", "--key", key, "--out", stick, "--bundle", bundle,
        "--for", "x86_64", "--python", "3.11", PYTHON=sys.executable,
    )  # fmt: skip
    shutil.copytree(stick, broken)
    (archive,) = broken.glob("*.tar")
    with tempfile.TemporaryDirectory(dir=work) as folder:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="tar")
        (wheel,) = Path(folder).glob("wheels/earsight-*.whl")
        break_wheel(wheel)
        with tarfile.open(archive, "w") as tar:
            for path in sorted(Path(folder).iterdir()):
                tar.add(path, path.name)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    (broken / "SHA256SUMS").write_text(f"{digest}  {archive.name}\n")
    run(
        "openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", broken / "SHA256SUMS",
        "-out", broken / "SHA256SUMS.sig",
    )  # fmt: skip
    return stick, broken


def break_wheel(wheel: Path) -> None:
    """Let `earsight run` end with an error, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        members = {info: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in members.items():
            if info.filename == "edge/commands/run.py":
                content = b"def run(args):\n    raise SystemExit(1)\n"
            archive.writestr(info, content)


def boot(machine: Path, image: Path, stick: Path, broken: Path) -> None:
    """Boot the machine and wait until it has run the proof and switched itself off."""
    machine.mkdir()
    run("tar", "-xf", image, "-C", machine)
    (machine / "proof").mkdir()
    shutil.copy(Path(__file__).with_name("proof.sh"), machine / "proof")
    for source in (stick, broken):
        shutil.copytree(source, machine / "media" / source.name)
    units = machine / "etc/systemd/system"
    (units / "proof.service").write_text(UNIT)
    (units / "multi-user.target.wants/proof.service").symlink_to("../proof.service")
    with (machine / "proof/console").open("wb") as console:
        subprocess.run(
            ["systemd-nspawn", "--directory", machine, "--boot", "--quiet", "--register=no",
             "--keep-unit", f"--machine=earsight-{machine.stat().st_ino}", "--private-network",
             "--console=pipe"],
            stdin=subprocess.DEVNULL, stdout=console, stderr=console, timeout=3600, check=False,
        )  # fmt: skip
    if not (machine / "proof/done").exists():
        log = machine / "proof/log"
        raise SystemExit((log if log.exists() else machine / "proof/console").read_text()[-4000:])


def read_results(proof: Path) -> dict[str, str]:
    lines = (proof / "results").read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t", 1) for line in lines)


def traces(proof: Path) -> list[str]:
    """Return what differs after the uninstallation, less books and what Debian packages brought."""
    before, after = (
        dict(line.split("\t", 1) for line in (proof / name).read_text().splitlines())
        for name in ("before", "after")
    )
    packaged = {
        line
        for listing in proof.parent.glob("var/lib/dpkg/info/*.list")
        for line in listing.read_text().splitlines()
    }
    return sorted(
        path
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
        and not BOOKS.fullmatch(path)
        and not (path not in before and owner(path) in packaged)
    )


def owner(path: str) -> str:
    """Return the path whose package brought this one, which may be a cache of Python's."""
    return path.partition("/__pycache__")[0]


def judge(found: Mapping[str, str], left: list[str]) -> Iterator[str]:
    """Yield each check that found something else than it should."""
    for check, value in EXPECTED.items():
        if found.get(check) != value:
            yield f"{check}: {found.get(check)}, not {value}"
    if float(found.get("sandbox: exposure") or 10) > 2.0:
        yield f"sandbox: exposure: {found.get('sandbox: exposure')}, more than 2.0"
    if left:
        yield f"left behind: {', '.join(left)}"


def report(found: Mapping[str, str], left: list[str]) -> str:
    """Return the results as Markdown."""
    rows = [f"| {check} | {value} |" for check, value in found.items()]
    return "\n".join(
        [
            "# A booted system",
            "",
            "Made by `make test-boot`: a Debian 12 container with a systemd of its own and no",
            "network. A signed stick is installed, the daemon stopped with SIGSTOP, a version that",
            "does not start installed over it, the configuration broken, and all taken off again.",
            "There is no sound card in it, so the daemon waits for a microphone.",
            "",
            "| check | found |",
            "| --- | --- |",
            *rows,
            f"| files that differ after the uninstallation | {', '.join(left) or 'none'} |",
            "",
        ]
    )


def run(*command: str | Path, **environment: str) -> None:
    subprocess.run(list(map(str, command)), check=True, env={**os.environ, **environment})


if __name__ == "__main__":
    sys.exit(main())
