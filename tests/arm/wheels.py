"""What is installed in a root: the signed stick of a 64-bit Pi, and wheels for a processor."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.arm.roots import Root, make_root, with_headers

REPOSITORY = Path(__file__).parents[2]
PLATFORMS = (34, 31, 28, 27, 26, 17)  # glibc 2.x of wheels
TOOLS = ("cmake", "nanobind<3", "ninja", "scikit-build-core", "setuptools-scm[toml]")
# for CMake: the compiler is this machine's, the headers of Python are the root's
TOOLCHAIN = """\
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)
set(Python_INCLUDE_DIR {headers}/python{python})
include_directories(SYSTEM {headers})
"""


def make_stick(root: Root, work: Path) -> Path:
    """Make the signed stick for a root, as for a Pi."""
    stick, key = work / f"stick-{root.name}", work / f"key-{root.name}.pem"
    if not key.exists():
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    subprocess.run(
        [REPOSITORY / "firmware_cfg/stick.sh", "--key", key, "--out", stick,
         "--for", root.machine, "--python", root.python],
        check=True, env={**os.environ, "PYTHON": sys.executable},
    )  # fmt: skip
    return stick


def build_wheel(work: Path) -> Path:
    folder = work / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--wheel-dir", folder, REPOSITORY],
        check=True,
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    return wheel


def build_wheels(root: Root, work: Path) -> list[Path]:
    """Compile for a root, once, what has no wheels for its processor."""
    folder = work.resolve() / f"wheels-{root.name}"
    if not (wheels := sorted(folder.glob("*.whl"))):
        folder.mkdir(exist_ok=True)
        headers = make_root(with_headers(root), work) / "usr/include"
        toolchain = folder / "toolchain.cmake"
        toolchain.write_text(TOOLCHAIN.format(headers=headers.resolve(), python=root.python))
        pip, tools = [sys.executable, "-m", "pip"], folder / "tools"
        subprocess.run([*pip, "install", "--quiet", "--target", tools, *TOOLS], check=True)
        subprocess.run(
            [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder,
             f"--no-binary={','.join(root.sources)}", *root.sources],
            env={**os.environ, "PYTHONPATH": str(tools), "CMAKE_TOOLCHAIN_FILE": str(toolchain),
                 "_PYTHON_HOST_PLATFORM": f"linux-{root.machine}",
                 "SETUPTOOLS_EXT_SUFFIX": ".cpython-311-arm-linux-gnueabihf.so"},
            check=True,
        )  # fmt: skip
        wheels = sorted(folder.glob("*.whl"))
    return wheels


def target(root: Root) -> list[str]:
    """Return pip's words for wheels of a root's processor and Python."""
    tags = [f"manylinux_2_{number}_{root.machine}" for number in PLATFORMS]
    return [
        "--only-binary=:all:", "--implementation", "cp", "--python-version", root.python,
        "--abi", f"cp{root.python.replace('.', '')}", "--abi", "abi3", "--abi", "none",
        *(word for tag in (*tags, f"linux_{root.machine}", "any") for word in ("--platform", tag)),
    ]  # fmt: skip


def pip_download(root: Root, site: Path, *requirements: str | Path) -> None:
    """Unpack wheels for a root's processor into a folder, without what they depend on."""
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site,
         *target(root), *map(str, requirements)],
        check=True,
    )  # fmt: skip
