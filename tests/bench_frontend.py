"""What the front-end costs: processor time per second of sound, beside two common ways to do it.

Every figure is the best of several rounds of process time in one run, the methods taking turns, so
that ratios hold even on a busy machine. One thread: set OMP_NUM_THREADS=1 before Python starts, as
`main` does for itself. `rows` is what `make bench` prints.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from edge.audio.logmel import LogMel, LogMelSpec, features, hann, mel_weights, windows
from edge.types import Float32

SECONDS = 20
ROUNDS = 15
CHUNKS = {"20 ms": 320, "64 ms": 1024, "1 s": 16000}


def voice_like(seconds: float, sample_rate: int) -> Float32:
    """Return noise with the rhythm of syllables; the cost does not depend on the sound."""
    time_s = np.arange(int(seconds * sample_rate)) / sample_rate
    noise = np.random.default_rng([11]).normal(size=len(time_s))
    return (0.1 * noise * (1.05 + np.sin(2 * np.pi * 4 * time_s))).astype(np.float32)


def numpy_rfft(spec: LogMelSpec) -> Callable[[Float32], Float32]:
    """Return the textbook front-end: frames, np.fft.rfft, a matrix product."""
    window = hann(spec).astype(np.float32)
    weights = np.ascontiguousarray(mel_weights(spec).T, np.float32)

    def energies(samples: Float32) -> Float32:
        frames = np.lib.stride_tricks.sliding_window_view(samples, spec.window)[:: spec.hop]
        spectrum = np.fft.rfft(frames * window, spec.fft)
        return (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ weights

    return energies


def numpy_codes(energies: Float32, spec: LogMelSpec) -> list[Any]:
    """Return the codes as one writes them first, with np.log."""
    last = len(energies) - spec.frames
    codes = []
    for start in [*range(0, last, 128), last]:
        part = energies[start : start + spec.frames]
        logarithm = np.log(part / part.mean() + np.float32(spec.floor))
        code = np.round(np.float32(spec.code_gain) * (logarithm - np.float32(spec.code_offset)))
        codes.append(np.clip(code, -128, 127).astype(np.int8))
    return codes


def librosa_mel(spec: LogMelSpec) -> Callable[[Float32], Float32] | None:
    """Return librosa's mel spectrogram with the same numbers, or None where it is not installed."""
    try:
        import librosa
    except ImportError:
        return None

    def energies(samples: Float32) -> Float32:
        mel: Float32 = librosa.feature.melspectrogram(
            y=samples, sr=spec.sample_rate, n_fft=spec.fft, hop_length=spec.hop,
            win_length=spec.window, center=False, n_mels=spec.mels, fmin=spec.f_min,
            fmax=spec.f_max, htk=True, norm=None,
        )  # fmt: skip
        return mel.T

    return energies


def streamed(frontend: LogMel, samples: Float32, chunk: int) -> None:
    """Feed a recording in chunks."""
    for start in range(0, len(samples), chunk):
        frontend.feed(samples[start : start + chunk])
    frontend.flush()


def bench(seconds: float = SECONDS, rounds: int = ROUNDS) -> dict[str, float]:
    """Return milliseconds of processor time per second of sound for each method.

    "rfft" and "librosa" end in the codes of `numpy_codes`, "earsight" in those of `features`;
    "stream ..." is LogMel alone, fed in chunks, and "codes" the step from energies to codes.
    """
    spec = LogMelSpec()
    samples = voice_like(seconds, spec.sample_rate)
    frontend = LogMel(spec)
    energies = np.concatenate([frontend.feed(samples), frontend.flush()])
    plain, rosa = numpy_rfft(spec), librosa_mel(spec)
    methods: dict[str, Callable[[], object]] = {
        "earsight": lambda: features(samples, spec),
        "rfft": lambda: numpy_codes(plain(samples), spec),
        "codes": lambda: windows(energies, spec),
    }
    if rosa is not None:
        methods["librosa"] = lambda: numpy_codes(rosa(samples), spec)
    for name, size in CHUNKS.items():
        methods[f"stream {name}"] = partial(streamed, frontend, samples, size)
    best = dict.fromkeys(methods, np.inf)
    for _ in range(rounds + 1):
        for name, method in methods.items():
            start = time.process_time()
            method()
            best[name] = min(best[name], time.process_time() - start)
    return {name: 1000 * value / seconds for name, value in best.items()}


def peak_memory() -> dict[str, float]:
    """Return the MB each method needs at once, above the sound itself: ten minutes of it."""
    spec = LogMelSpec()
    samples = voice_like(600, spec.sample_rate)
    plain = numpy_rfft(spec)
    methods: dict[str, Callable[[], object]] = {
        "earsight": lambda: features(samples, spec),
        "rfft": lambda: numpy_codes(plain(samples), spec),
        "stream 20 ms": lambda: streamed(LogMel(spec), samples, 320),
    }
    peaks = {}
    for name, method in methods.items():
        tracemalloc.start()
        method()
        peaks[name] = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
    return peaks


def rows() -> list[dict[str, Any]]:
    """Return the table as rows of name, value and unit."""
    cost, memory = bench(), peak_memory()
    per_second = "ms CPU per s of sound"
    table: list[dict[str, Any]] = [
        {"name": "front-end, sound to codes", "value": cost["earsight"], "unit": per_second},
        {"name": "  of that, energies to codes", "value": cost["codes"], "unit": per_second},
    ]
    for chunk in CHUNKS:
        name = f"front-end, energies in chunks of {chunk}"
        table.append({"name": name, "value": cost[f"stream {chunk}"], "unit": per_second})
    for other, name in (("rfft", "plain NumPy rfft"), ("librosa", "librosa")):
        if other in cost:
            table.append({"name": name, "value": cost[other], "unit": per_second})
            ratio = cost[other] / cost["earsight"]
            table.append({"name": f"{name} / front-end", "value": ratio, "unit": "times"})
    for method, name in (
        ("stream 20 ms", "front-end, streaming"),
        ("earsight", "front-end, 10 minutes at once"),
        ("rfft", "plain NumPy rfft, 10 minutes at once"),
    ):
        table.append({"name": f"peak memory, {name}", "value": memory[method], "unit": "MB"})
    return [{**row, "value": round(row["value"], 3)} for row in table]


def main() -> None:
    """Print the table, in a process of its own with one BLAS thread."""
    if os.environ.get("OMP_NUM_THREADS") != "1":
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        raise SystemExit(subprocess.call([sys.executable, *sys.argv], env=environment))
    print(f"NumPy {np.__version__}, Python {sys.version.split()[0]}")
    for row in rows():
        print(f"{row['name']:52s}{row['value']:10.3f} {row['unit']}")


if __name__ == "__main__":
    main()
