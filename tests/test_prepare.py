"""The script behind `make demo` and `make test`: what it says, when it acts, when it does not.

It runs on a copy of what it reads. apt-get is forbidden, and pip is a module that notes its calls.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = [ROOT / "firmware_cfg/prepare.sh", ROOT / ".ci/run"]
SOUNDS = Path("/usr/share/sounds/alsa/Front_Center.wav")
TOOLS = ["bash", "cat", "cut", "dirname", "env", "grep", "rm", "sha256sum", "uname"]

Prepare = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "a clone"
    (folder / "firmware_cfg").mkdir(parents=True)
    shutil.copy2(ROOT / "firmware_cfg/prepare.sh", folder / "firmware_cfg")
    shutil.copy2(ROOT / "setup.py", folder)
    return folder


@pytest.fixture
def prepare(clone: Path) -> Prepare:
    def run(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [clone / "firmware_cfg/prepare.sh", *args],
            env={**os.environ, "PYTHON": sys.executable, "EARSIGHT_APT": "no", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def make_venv(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_script_parses_and_may_be_run(script: Path) -> None:
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    done = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_a_wrong_role_is_refused_with_the_usage(prepare: Prepare) -> None:
    done = prepare("nothing")
    assert done.returncode == 1
    assert "demo|test|machines|voices" in done.stderr


def test_every_base_voice_has_its_package_in_the_list() -> None:
    from convert.population.voices.base_voices import BASE_VOICES, RECORDED_VOICES

    script = (ROOT / "firmware_cfg/prepare.sh").read_text(encoding="utf-8")
    listed = script.split('role" = voices', 1)[1].split("done", 1)[0].replace("\\", " ").split()
    packages = {voice.package for voice in (*BASE_VOICES, *RECORDED_VOICES)}
    assert packages <= {word.strip(";") for word in listed}


def test_a_python_that_is_too_old_or_absent_is_refused(prepare: Prepare) -> None:
    done = prepare("demo", PYTHON="no-such-python")
    assert done.returncode == 1
    assert "PYTHON=no-such-python" in done.stderr


def test_a_dry_run_says_everything_and_changes_nothing(clone: Path, prepare: Prepare) -> None:
    before = sorted(clone.rglob("*"))
    done = prepare("test", "--dry-run")
    assert done.returncode == 0, done.stderr
    extras = "device,mic,mqtt,web,update,encryption,qdrant,convert,cluster,dev"
    assert f"earsight[{extras}]" in done.stdout
    assert sorted(clone.rglob("*")) == before


def test_without_apt_it_prints_the_line_to_run(
    clone: Path, prepare: Prepare, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"  # a machine without any speech engine
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    done = prepare("test", PATH=str(tools))
    assert done.returncode == 1
    assert "sudo apt-get install -y" in done.stderr
    assert "espeak-ng flite festival pulseaudio" in done.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.skipif(not SOUNDS.exists(), reason="alsa-utils is not installed")
def test_it_installs_once_and_again_only_after_a_change(
    clone: Path, prepare: Prepare, tmp_path: Path
) -> None:
    make_venv(clone / ".venv")
    calls = tmp_path / "calls"
    fake = tmp_path / "fake/pip"
    fake.mkdir(parents=True)
    (fake / "__init__.py").touch()
    (fake / "__main__.py").write_text(
        f"import sys; print(sys.argv, file=open({str(calls)!r}, 'a'))"
    )

    def demo() -> tuple[str, int]:
        done = prepare("demo", PYTHONPATH=str(fake.parent))
        assert done.returncode == 0, done.stderr
        return done.stdout, len(calls.read_text().splitlines())

    said, count = demo()
    assert said.index("earsight[device]") < said.index("done")
    assert count == 1
    assert demo() == ("", 1)
    with (clone / "setup.py").open("a") as setup:
        setup.write("# changed\n")
    said, count = demo()
    assert "earsight[device]" in said
    assert count == 2


def test_an_environment_of_another_place_is_made_anew(clone: Path, prepare: Prepare) -> None:
    make_venv(clone.parent / "elsewhere")
    (clone.parent / "elsewhere").rename(clone / ".venv")
    said = prepare("demo", "--dry-run").stdout
    assert ".venv was made in another folder: it is made with Python" in said
