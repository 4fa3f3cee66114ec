"""Sound files: what is heard and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edge.audio import file
from edge.audio.file import RATE, read_recording, stream_recording
from edge.errors import InputError

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")


def tone(seconds: float, rate: int, hz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype("f4")


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_every_format_and_rate_comes_out_as_the_same_tone(
    tmp_path: Path, suffix: str, rate: int
) -> None:
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, np.stack([tone(1, rate)] * 2, axis=1), rate)
    recording = read_recording(path)
    assert recording.samples.dtype == np.float32
    assert recording.source == str(path)
    assert abs(len(recording.samples) - RATE) < 0.1 * RATE  # MP3 and OGG pad
    middle = recording.samples[4000:12000]
    assert abs(np.abs(np.fft.rfft(middle)).argmax() * RATE / 8000 - 440) <= 2
    assert abs(np.sqrt(np.square(middle).mean()) - 0.5 / np.sqrt(2)) < 0.02


def test_a_file_at_16_khz_is_not_touched(tmp_path: Path) -> None:
    samples = tone(0.3, RATE)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    np.testing.assert_array_equal(read_recording(tmp_path / "a.wav").samples, samples)


def test_pieces_join_to_the_same_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", tone(2, 44100), 44100)
    whole = read_recording(tmp_path / "a.wav").samples
    monkeypatch.setattr(file, "PIECE_VALUES", 1000)
    pieces = [piece.samples for piece in stream_recording(tmp_path / "a.wav")]
    assert len(pieces) == 89
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-6)


def test_opposite_phase_is_not_silence(tmp_path: Path) -> None:
    left = tone(0.5, RATE)
    soundfile.write(
        tmp_path / "a.wav", np.stack([left, -0.9 * left], axis=1), RATE, subtype="FLOAT"
    )
    np.testing.assert_array_equal(read_recording(tmp_path / "a.wav").samples, left)


def test_one_dead_channel_is_averaged(tmp_path: Path) -> None:
    left = tone(0.5, RATE)
    soundfile.write(tmp_path / "a.wav", np.stack([left, 0 * left], axis=1), RATE, subtype="FLOAT")
    np.testing.assert_allclose(read_recording(tmp_path / "a.wav").samples, left / 2)


def test_a_streamed_wav_of_unknown_length_is_heard(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(0.5, RATE), RATE)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[40:44] = b"\xff\xff\xff\xff"  # what ffmpeg and sox write into a pipe
    (tmp_path / "a.wav").write_bytes(content)
    assert len(read_recording(tmp_path / "a.wav").samples) == RATE // 2


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Make one file of each kind of damage; return it with a word of the message."""
    good = folder / "good.wav"
    soundfile.write(good, tone(1, RATE), RATE)
    (folder / "cut.wav").write_bytes(good.read_bytes()[:9000])
    noise = np.random.default_rng(0).normal(0, 0.1, RATE)
    soundfile.write(folder / "good.flac", noise, RATE)
    (folder / "cut.flac").write_bytes((folder / "good.flac").read_bytes()[:9000])
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("hello\n" * 100)
    (folder / "header.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVE")
    (folder / "noise.raw").write_bytes(bytes(1000))
    soundfile.write(folder / "zero.wav", np.zeros(0), RATE)
    soundfile.write(folder / "nan.wav", np.full(100, np.nan), RATE, subtype="FLOAT")
    soundfile.write(folder / "inf.wav", np.full(100, np.inf), RATE, subtype="FLOAT")
    soundfile.write(folder / "ints.wav", 30000 * tone(0.1, RATE), RATE, subtype="FLOAT")
    soundfile.write(folder / "slow.wav", tone(1, 4000, 100), 4000)
    os.mkfifo(folder / "pipe.wav")
    return {
        "missing": (folder / "nope.wav", "no such file"),
        "folder": (folder, "not a regular file"),
        "pipe": (folder / "pipe.wav", "not a regular file"),
        "empty": (folder / "empty.wav", "empty"),
        "text": (folder / "text.wav", "not a sound file"),
        "only a header": (folder / "header.wav", "not a sound file"),
        "raw": (folder / "noise.raw", "not a sound file"),
        "no samples": (folder / "zero.wav", "0 samples"),
        "cut WAV": (folder / "cut.wav", "truncated"),
        "cut FLAC": (folder / "cut.flac", "truncated"),
        "NaN": (folder / "nan.wav", "not numbers"),
        "infinite": (folder / "inf.wav", "not numbers"),
        "integers as float": (folder / "ints.wav", "scale it"),
        "4 kHz": (folder / "slow.wav", "8000 Hz"),
    }


def test_what_cannot_be_heard_is_refused_in_one_line(tmp_path: Path) -> None:
    for kind, (path, word) in bad_files(tmp_path).items():
        with pytest.raises(InputError) as caught:
            stream_recording(path)  # before any piece is asked for
        message = str(caught.value)
        assert word in message, kind
        assert message.startswith(str(path)), kind
        assert "\n" not in message, kind


def test_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", tone(2, RATE), RATE)
    monkeypatch.setattr(file, "LONGEST_S", 1)
    with pytest.raises(InputError, match="longer than"):
        stream_recording(tmp_path / "a.wav")
