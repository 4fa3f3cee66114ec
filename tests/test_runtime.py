"""Choosing an interpreter by running one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import load_bundle
from edge.errors import BundleError, ConfigError
from edge.runtime import CANDIDATES, find_backend, install_advice, open_model

TINY = Path(__file__).parent / "data" / "tiny.bundle"


def installed() -> list[str]:
    """Return the backends that work here, each tried in a process of its own."""
    script = "from edge.runtime import find_backend; print(find_backend().name)"
    found = []
    for name in ("litert", "tflite"):  # TensorFlow's takes seconds to load and is the converter's
        environment = {**os.environ, "EARSIGHT_RUNTIME": name, "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env=environment
        )
        if done.stdout.strip() == name:
            found.append(name)
    return found


BACKENDS = installed()


def test_something_runs_here() -> None:
    assert BACKENDS, "install the [device] extra"
    assert find_backend().name == BACKENDS[0]


def test_an_unknown_forced_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSIGHT_RUNTIME", "abacus")
    with pytest.raises(ConfigError, match=r"abacus.*litert, tflite, tensorflow"):
        find_backend()


def test_nothing_installed_says_what_to_install(tmp_path: Path) -> None:
    """A bare environment: NumPy alone on the path."""
    numpy_home = Path(np.__file__).parents[1]
    for package in ("numpy", "numpy.libs"):
        if (numpy_home / package).exists():
            (tmp_path / package).symlink_to(numpy_home / package)
    script = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(Path(__file__).parents[1])!r}]\n"
        "from edge.runtime import find_backend\n"
        "try: find_backend()\n"
        "except Exception as e: print(type(e).__name__, e)\n"
    )
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True)
    assert done.stdout.startswith("RuntimeUnavailable nothing here can run a model")
    assert done.stdout.count("not installed") == len(CANDIDATES)
    assert "pip install" in done.stdout


def test_numpy_2_with_the_old_runtime_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tflite-runtime imports under NumPy 2 and raises SystemError when it builds an interpreter."""
    package = tmp_path / "tflite_runtime"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "interpreter.py").write_text(
        "def Interpreter(**_): raise SystemError('CreateWrapperFromFile returned a result')\n"
    )
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from edge.runtime import find_backend\n"
        "try: find_backend()\n"
        "except Exception as e: print(e)\n"
    )
    monkeypatch.setenv("EARSIGHT_RUNTIME", "tflite")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "numpy<2" in done.stdout


@pytest.mark.parametrize(
    ("machine", "python", "word"),
    [
        ("aarch64", (3, 13), "earsight[device]"),
        ("armv7l", (3, 11), "tflite-runtime==2.14.0"),
        ("armv7l", (3, 13), "Python 3.11"),
    ],
)
def test_advice_fits_the_machine(
    machine: str, python: tuple[int, int], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(sys, "version_info", (*python, 0, "final", 0))
    assert word in install_advice()


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "voice_encoder.tflite"
    path.write_bytes(b"TFL3 but not really" * 10)
    info = load_bundle(TINY).manifest.models["voice_encoder"]
    with pytest.raises(BundleError, match="cannot run it"):
        open_model(path, info, "models.voice_encoder")


def test_run_refuses_wrong_arrays() -> None:
    model = load_bundle(TINY).open("portrait_decoder")
    with pytest.raises(ValueError, match="embedding is int8"):
        model.run(embedding=np.zeros((1, 16), np.float32))
    with pytest.raises(ValueError, match="inputs are"):
        model.run(voice=np.zeros((1, 16), np.int8))


def test_nothing_is_printed_on_the_way(capfd: pytest.CaptureFixture[str]) -> None:
    load_bundle(TINY).open("voice_encoder")
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


@pytest.mark.skipif(len(BACKENDS) < 2, reason="only one runtime is installed")
def test_runtimes_agree(tmp_path: Path) -> None:
    """Within two codes: measured between LiteRT's XNNPACK and the built-in kernels."""
    script = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from edge.bundle import load_bundle\n"
        f"model = load_bundle(Path({str(TINY)!r})).open('voice_encoder')\n"
        "rng = np.random.default_rng(1)\n"
        "codes = rng.integers(-128, 128, (1, 256, 64, 1)).astype(np.int8)\n"
        "np.savez(sys.argv[1], **model.run(features=codes))\n"
    )
    results = []
    for name in BACKENDS:
        path = tmp_path / f"{name}.npz"
        environment = {**os.environ, "EARSIGHT_RUNTIME": name, "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run([sys.executable, "-c", script, str(path)], check=True, env=environment)
        results.append(dict(np.load(path)))
    for other in results[1:]:
        for key, value in results[0].items():
            assert np.abs(value.astype(int) - other[key].astype(int)).max() <= 2
