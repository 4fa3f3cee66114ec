"""One root: earsight is installed in it and run, and what it gives compared with this machine's."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.arm.compare import Difference, compare
from tests.arm.roots import Root, make_root, run_inside
from tests.arm.wheels import REPOSITORY, build_wheel, build_wheels, make_stick, pip_download

CAPTURE_S = 3.0
LEAST_LIKENESS = 0.99  # correlation of what was played and what was captured


@dataclass(frozen=True, slots=True)
class Cost:
    """Time that something took."""

    elapsed_s: float
    cpu_s: float  # of every processor


@dataclass(frozen=True, slots=True)
class Run:
    """What one root gave with one interpreter."""

    root: Root
    found: Mapping[str, Any]
    difference: Difference
    hear: str  # how `earsight hear` went
    doctor: str  # its findings: ok, warn, fail
    likeness: float | None  # of captured sound, None when there was no sound server
    made: Cost  # of the root with earsight in it
    took: Cost  # of all the rest, under emulation

    @property
    def faults(self) -> list[str]:
        """What went wrong."""
        faults = list(self.difference.faults)
        if self.likeness is not None and self.likeness < LEAST_LIKENESS:
            faults.append(f"captured sound is like what was played by {self.likeness:.3f} only")
        if not self.hear.startswith("0"):
            faults.append(f"earsight hear: {self.hear}")
        # there is no microphone in a root while doctor looks
        failed = [word for word in self.doctor.split(", ") if word.endswith(" fail")]
        faults += [f"doctor: {word}" for word in failed if word != "microphone fail"]
        return [f"{self.root.name}, {self.found['runtime']}: {fault}" for fault in faults]


def try_root(root: Root, work: Path, voices: list[Path], most: int) -> list[Run]:
    """Return a run for each interpreter that there is for this root, `most` at most."""
    cost = stopwatch()
    pristine, path = make_root(root, work), work / f"run-{root.name}"
    shutil.rmtree(path, ignore_errors=True)
    subprocess.run(["cp", "-a", pristine, path], check=True)  # there are devices in it
    shared = work / f"shared-{root.name}"
    shutil.rmtree(shared, ignore_errors=True)
    shared.mkdir()
    shutil.copy(Path(__file__).with_name("probe.py"), shared)
    shutil.copy(REPOSITORY / "tests/data/logmel_golden.npz", shared / "golden.npz")
    for number, voice in enumerate(voices):
        shutil.copy(voice, shared / f"{number}{voice.suffix}")
    runtimes = prepare(root, path, work, shared)
    made = cost()
    print(f"{root.name}: {made.elapsed_s:.0f} s, {made.cpu_s:.0f} s of processor time", flush=True)
    chosen = list(runtimes.items())[:most]
    return [try_interpreter(root, path, shared, made, *runtime) for runtime in chosen]


def stopwatch() -> Callable[[], Cost]:
    """Return a function that gives the time since, with that of programs run and ended since."""

    def used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    began, before = time.monotonic(), used()
    return lambda: Cost(time.monotonic() - began, used() - before)


def prepare(root: Root, path: Path, work: Path, shared: Path) -> dict[str, dict[str, str]]:
    """Install earsight in a root; return the environment of each interpreter there."""
    if not root.wheels:
        site = shared / "site"
        wheel = build_wheel(work)
        built = build_wheels(root, work)
        pip_download(
            root, site, wheel, *built, "soundfile", "tqdm", "typing-extensions",
            "tflite-runtime==2.14.0",
        )  # fmt: skip
        return {"tflite": {"PYTHONPATH": "/mnt/earsight/site", "PROGRAM": "/usr/bin/python3"}}
    stick = make_stick(root, work)
    done = run_inside(
        path, "bash", "/media/stick/install.sh",
        shared={"/media/stick": stick}, timeout=3600, QEMU_CPU=root.processor,
    )  # fmt: skip
    (shared / "install.log").write_text(done.stdout + done.stderr)
    if done.returncode:
        raise SystemExit(f"{root.name}: not installed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    program = {"PROGRAM": "/opt/earsight/current/bin/python"}
    runtimes = {"litert": dict(program)}
    if root.python == "3.11":  # tflite-runtime has no wheels beyond
        pip_download(root, shared / "tflite", "tflite-runtime==2.14.0", "numpy<2")
        runtimes["tflite"] = {**program, "PYTHONPATH": "/mnt/earsight/tflite"}
    return runtimes


def try_interpreter(
    root: Root, path: Path, shared: Path, made: Cost, runtime: str, environment: dict[str, str]
) -> Run:
    """Run everything with one interpreter."""
    cost = stopwatch()
    environment |= {"EARSIGHT_RUNTIME": runtime, "QEMU_CPU": root.processor}
    program = environment.pop("PROGRAM")
    recordings = sorted(shared.glob("[0-9]*.*"))
    reference = look_here(shared, recordings, runtime)
    request = {
        "golden": "/mnt/earsight/golden.npz",
        "voices": {r.stem: {"path": f"/mnt/earsight/{r.name}"} for r in recordings},
    }
    (shared / "request.json").write_text(json.dumps(request))
    inside = partial(run_inside, path, program, **environment)
    own = {"/mnt/earsight": shared}
    done = inside(
        "/mnt/earsight/probe.py", "look", "/mnt/earsight/request.json", shared=own, timeout=3600
    )
    if done.returncode:
        raise SystemExit(f"{root.name}, {runtime}: {done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    recording = f"/mnt/earsight/{recordings[-1].name}"
    # the sheet needs a later Pillow than Debian 12's
    out = ("--out", f"/mnt/earsight/out-{runtime}") if root.wheels else ()
    heard = inside("-m", "edge", "hear", "--json", *out, recording, shared=own)
    doctor = inside("-m", "edge", "doctor", "--json", "--quick", shared=own)
    likeness = capture(inside, shared)
    (shared / f"found-{runtime}.json").write_text(done.stdout)
    return Run(
        root, found, compare(reference, found), summary(heard), findings(doctor), likeness,
        made, cost(),
    )  # fmt: skip


def look_here(shared: Path, recordings: list[Path], runtime: str) -> dict[str, Any]:
    """Return what this machine gives for the same sounds with the same interpreter."""
    request = {
        "golden": str(shared / "golden.npz"),
        "voices": {recording.stem: {"path": str(recording)} for recording in recordings},
    }
    (shared / "here.json").write_text(json.dumps(request))
    done = subprocess.run(
        [sys.executable, shared / "probe.py", "look", shared / "here.json"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "EARSIGHT_RUNTIME": runtime,
             "XDG_DATA_HOME": str(shared / "nobody")},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def capture(inside: Callable[..., subprocess.CompletedProcess[str]], shared: Path) -> float | None:
    """Play here, record there through the sound server's socket; return how alike both are."""
    from tests.sound_server import PROGRAMS, SoundServer

    if any(shutil.which(name) is None for name in PROGRAMS):
        return None
    played = 0.3 * np.random.default_rng(8).standard_normal(16_000 * 60)
    with tempfile.TemporaryDirectory(prefix="es") as folder:
        sound = Path(folder)
        sound.chmod(0o755)
        server = SoundServer(sound, 16_000, 1)
        server.start()
        (sound / "inside.conf").write_text(
            "</usr/share/alsa/alsa.conf>\n"
            'pcm.!default { type pulse; server "unix:/mnt/sound/native"; device "sink.monitor" }\n'
        )
        player = server.play(np.clip(played, -1, 1))
        try:
            done = inside(
                "/mnt/earsight/probe.py", "listen", str(CAPTURE_S), "/mnt/earsight/captured.npy",
                shared={"/mnt/earsight": shared, "/mnt/sound": sound}, timeout=600,
                ALSA_CONFIG_PATH="/mnt/sound/inside.conf", PULSE_SERVER="unix:/mnt/sound/native",
            )  # fmt: skip
        finally:
            player.kill()
            server.kill()
    if done.returncode:
        raise SystemExit(f"nothing captured: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return likeness(played, np.load(shared / "captured.npy"))


def likeness(played: Any, captured: Any) -> float:
    """Return the largest correlation of the captured sound with any stretch of what was played."""
    size = len(played) + len(captured)
    spectrum = np.fft.rfft(played, size) * np.conj(np.fft.rfft(captured, size))
    start = int(np.argmax(np.fft.irfft(spectrum, size)[: len(played) - len(captured)]))
    return float(np.corrcoef(played[start : start + len(captured)], captured)[0, 1])


def summary(done: subprocess.CompletedProcess[str]) -> str:
    """Return an exit code with, on success, how many utterances were heard, else the message."""
    if done.returncode:
        return f"{done.returncode}, {done.stderr.strip().splitlines()[-1]}"
    return f"0, {len(json.loads(done.stdout)['utterances'])} heard"


def findings(done: subprocess.CompletedProcess[str]) -> str:
    """Return doctor's verdicts."""
    if not done.stdout:
        raise SystemExit(f"doctor says nothing: {done.stderr[-2000:]}")
    return ", ".join(f"{item['check']} {item['status']}" for item in json.loads(done.stdout))
