"""Prove earsight on ARM userland: install it as on a Pi, run it under emulation, compare with x86.

Run: make test-arm (as root, on Debian; three quarters of an hour, two gigabytes below work/arm)

Where roots cannot be made or entered it says why and succeeds. QEMU computes what the processor
would, but says nothing about speed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.arm.compare import Difference, compare
from tests.arm.report import write_report
from tests.arm.roots import ROOTS, Root, entered, make_root, run_inside, what_is_missing

REPOSITORY = Path(__file__).parents[2]
ALSA = Path("/usr/share/sounds/alsa/Front_Center.wav")
SHARED = REPOSITORY.parent / "shared/data/voices"
CAPTURE_S = 3.0
LEAST_LIKENESS = 0.99  # correlation of what was played and what was captured
PLATFORMS = (34, 31, 28, 27, 26, 17)  # glibc 2.x of wheels


@dataclass(frozen=True, slots=True)
class Run:
    """What one root gave with one interpreter."""

    root: Root
    found: Mapping[str, Any]
    difference: Difference
    hear: str  # how `earsight hear` went
    doctor: str  # its findings: ok, warn, fail
    likeness: float | None  # of captured sound, None when there was no sound server
    seconds: float  # all of it, under emulation

    @property
    def faults(self) -> list[str]:
        """What went wrong."""
        faults = list(self.difference.faults)
        if self.likeness is not None and self.likeness < LEAST_LIKENESS:
            faults.append(f"captured sound is like what was played by {self.likeness:.3f} only")
        if self.root.wheels and not self.hear.startswith("0"):
            faults.append(f"earsight hear: {self.hear}")
        return [f"{self.root.name}, {self.found['runtime']}: {fault}" for fault in faults]


def main() -> int:
    """Run what was asked for; return 0 when all of it agrees with x86, or nothing can be run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=REPOSITORY / "work/arm")
    parser.add_argument("--report", type=Path, help="Markdown file to write")
    parser.add_argument("--voices", type=int, default=99, help="recordings to use at most")
    parser.add_argument("roots", nargs="*", help=f"{', '.join(r.name for r in ROOTS)} (all)")
    args = parser.parse_args()
    if reason := what_is_missing():
        print(f"skipped: {reason}")
        return 0
    chosen = [root for root in ROOTS if root.name in (args.roots or [r.name for r in ROOTS])]
    args.work.mkdir(parents=True, exist_ok=True)
    voices = [ALSA, *sorted(SHARED.rglob("*.flac"))][: args.voices]
    runs: list[Run] = []
    for root in chosen:
        runs += test_root(root, args.work.resolve(), voices)
    if args.report:
        args.report.parent.mkdir(exist_ok=True)
        args.report.write_text(write_report(runs, len(voices)), encoding="utf-8")
    for run in runs:
        found, difference = run.found, run.difference
        print(
            f"{run.root.name}: Python {found['python']}, NumPy {found['numpy']}, "
            f"{found['runtime']}: {difference.utterances} utterances, cosine at least "
            f"{difference.least_cosine:.4f}, {difference.rankings_alike} rankings alike; "
            f"hear: {run.hear}; doctor: {run.doctor}; captured: {run.likeness}; {run.seconds:.0f} s"
        )
    faults = [fault for run in runs for fault in run.faults]
    for fault in faults:
        print(f"FAILED {fault}", file=sys.stderr)
    print(f"{len(runs) - len({f.partition(':')[0] for f in faults})} passed, {len(faults)} failed")
    return int(bool(faults))


def test_root(root: Root, work: Path, voices: list[Path]) -> list[Run]:
    """Return a run for each interpreter that there is for this root."""
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
    return [test_runtime(root, path, shared, *runtime) for runtime in runtimes.items()]


def prepare(root: Root, path: Path, work: Path, shared: Path) -> dict[str, dict[str, str]]:
    """Install earsight in a root; return the environment of each interpreter there."""
    if not root.wheels:
        site = shared / "site"
        wheel = build_wheel(work)
        pip_download(root, site, wheel, "soundfile", "typing-extensions", "tflite-runtime==2.14.0")
        return {"tflite": {"PYTHONPATH": "/mnt/earsight/site", "PROGRAM": "/usr/bin/python3"}}
    stick = make_stick(root, work)
    with entered(path, {"/media/stick": stick}):
        done = run_inside(
            path, "bash", "/media/stick/install.sh", timeout=3600, QEMU_CPU=root.processor
        )
    (shared / "install.log").write_text(done.stdout + done.stderr)
    if done.returncode:
        raise SystemExit(f"{root.name}: not installed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    program = {"PROGRAM": "/opt/earsight/current/bin/python"}
    runtimes = {"litert": dict(program)}
    if root.python == "3.11":  # tflite-runtime has no wheels beyond
        pip_download(root, shared / "tflite", "tflite-runtime==2.14.0", "numpy<2")
        runtimes["tflite"] = {**program, "PYTHONPATH": "/mnt/earsight/tflite"}
    return runtimes


def make_stick(root: Root, work: Path) -> Path:
    """Make the signed stick for a root, as for a Pi."""
    stick, key = work / f"stick-{root.name}", work / "key.pem"
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


def pip_download(root: Root, site: Path, *requirements: str | Path) -> None:
    """Unpack wheels for a root's processor into a folder, without what they depend on."""
    tags = [f"manylinux_2_{number}_{root.machine}" for number in PLATFORMS]
    platforms = [word for tag in (*tags, "any") for word in ("--platform", tag)]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site,
         "--only-binary=:all:", "--implementation", "cp", "--python-version", root.python,
         "--abi", f"cp{root.python.replace('.', '')}", "--abi", "abi3", "--abi", "none",
         *platforms, *map(str, requirements)],
        check=True,
    )  # fmt: skip


def test_runtime(
    root: Root, path: Path, shared: Path, runtime: str, environment: dict[str, str]
) -> Run:
    """Run everything with one interpreter."""
    began = time.monotonic()
    environment |= {"EARSIGHT_RUNTIME": runtime, "QEMU_CPU": root.processor}
    program = environment.pop("PROGRAM")
    recordings = sorted(shared.glob("[0-9]*.*"))
    reference = look_here(shared, recordings, runtime)
    request = {"golden": "/mnt/earsight/golden.npz", "voices": {}}
    for recording in recordings:
        request["voices"][recording.stem] = voice_request(
            recording, reference["voices"][recording.stem], root.wheels, shared
        )
    (shared / "request.json").write_text(json.dumps(request))
    with (
        tempfile.TemporaryDirectory(prefix="es") as sound,
        entered(path, {"/mnt/earsight": shared, "/mnt/sound": Path(sound)}),
    ):
        done = run_inside(
            path, program, "/mnt/earsight/probe.py", "look", "/mnt/earsight/request.json",
            **environment,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{root.name}, {runtime}: {done.stderr[-2000:]}")
        found = json.loads(done.stdout)
        earsight = (program, "-m", "edge")
        heard = run_inside(
            path, *earsight, "hear", "--json", f"/mnt/earsight/{recordings[0].name}", **environment
        )
        doctor = run_inside(path, *earsight, "doctor", "--json", "--quick", **environment)
        likeness = capture(path, Path(sound), shared, program, environment)
    (shared / f"found-{runtime}.json").write_text(done.stdout)
    return Run(
        root, found, compare(reference, found), summary(heard), findings(doctor), likeness,
        time.monotonic() - began,
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


def voice_request(recording: Path, heard: Any, detector: bool, shared: Path) -> dict[str, Any]:
    """Return how the probe is to hear a recording: itself, or cut as it was cut here."""
    request = {"path": f"/mnt/earsight/{recording.name}"}
    if detector:
        return request
    from edge.audio.file import read_recording

    np.save(shared / f"{recording.stem}.npy", read_recording(recording).samples)
    bounds = [[utterance["start"], utterance["end"]] for utterance in heard]
    return {**request, "samples": f"/mnt/earsight/{recording.stem}.npy", "utterances": bounds}


def capture(
    path: Path, sound: Path, shared: Path, program: str, environment: dict[str, str]
) -> float | None:
    """Play here, record there through the sound server's socket; return how alike both are."""
    from tests.sound_server import PROGRAMS, SoundServer

    if any(shutil.which(name) is None for name in PROGRAMS):
        return None
    sound.chmod(0o755)
    server = SoundServer(sound, 16_000, 1)
    server.start()
    (sound / "inside.conf").write_text(
        "</usr/share/alsa/alsa.conf>\n"
        'pcm.!default { type pulse; server "unix:/mnt/sound/native"; device "sink.monitor" }\n'
    )
    played = 0.3 * np.random.default_rng(8).standard_normal(16_000 * 60)
    player = server.play(np.clip(played, -1, 1))
    try:
        done = run_inside(
            path, program, "/mnt/earsight/probe.py", "listen", str(CAPTURE_S),
            "/mnt/earsight/captured.npy", timeout=600,
            ALSA_CONFIG_PATH="/mnt/sound/inside.conf", PULSE_SERVER="unix:/mnt/sound/native",
            **environment,
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
    return ", ".join(f"{item['check']} {item['status']}" for item in json.loads(done.stdout))


if __name__ == "__main__":
    sys.exit(main())
