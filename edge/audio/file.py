"""Sound files: reads any rate and number of channels in pieces of 16 kHz mono; packs a WAV."""

from __future__ import annotations

import io
import struct
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, Protocol

import numpy as np

from ..errors import InputError, RuntimeUnavailable
from ..types import Float32, Recording

RATE = 16_000  # Hz, what every later stage expects
LOWEST_RATE = 8_000  # Hz; below telephone quality the voice's formants are gone
LONGEST_S = 4 * 3600
HIGHEST_PEAK = 8.0  # of nominal ±1; more means integers stored as float
CANCELLED = 10.0  # power ratio, 10 dB: the mean of the channels has lost the sound
PIECE_VALUES = 2**20  # values decoded at a time, all channels together (4 MB)
STREAMED_SIZE = 0x7FFF_F000  # programs that cannot seek back write this or more as WAV size
READABLE = "use WAV, FLAC, OGG or MP3"


@dataclass(frozen=True, slots=True)
class _Survey:
    """What one pass over the whole file found."""

    frames: int
    channel: int | None  # the one to hear, None for the mean of all


class _Sound(Protocol):
    """What is used of soundfile.SoundFile."""

    samplerate: int
    channels: int

    def read(self, frames: int, dtype: str, always_2d: bool) -> Float32: ...


def read_recording(path: Path) -> Recording:
    """Read a whole sound file as one 16 kHz mono recording (230 MB of memory per hour).

    Raises:
        InputError: the file cannot be used; names it and says why.
        RuntimeUnavailable: soundfile or soxr is not installed.
    """
    pieces = [piece.samples for piece in stream_recording(path)]
    return Recording(np.concatenate(pieces), str(path))


def stream_recording(path: Path) -> Iterator[Recording]:
    """Check a whole sound file, then return an iterator over it in pieces of 16 kHz mono.

    Memory stays at a few megabytes whatever the length; the file is decoded twice, so that a file
    with damage anywhere is refused before any of it is heard. Channels are averaged, unless that
    cancels the sound (one channel wired in opposite phase): then the loudest is heard.

    Raises:
        InputError: the file is missing, not sound, truncated, empty, longer than 4 hours, sampled
            below 8 kHz, or holds values that are no sound.
        RuntimeUnavailable: soundfile or soxr is not installed.
    """
    soundfile, soxr = _libraries()
    with _opened(path, soundfile) as sound:
        survey = _survey(path, sound, soundfile)
    return _pieces(path, survey, soundfile, soxr)


def pack_wav(samples: Float32) -> bytes:
    """Return 16 kHz mono samples (n,), nominal range -1..1, as a WAV file of 16 bits."""
    packed = io.BytesIO()
    with wave.open(packed, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return packed.getvalue()


def _libraries() -> tuple[ModuleType, ModuleType]:
    try:
        import soundfile
        import soxr
    except (ImportError, OSError) as exc:  # OSError: soundfile without its libsndfile
        raise RuntimeUnavailable(
            f"reading sound files needs soundfile and soxr ({exc}); "
            "run: pip install 'earsight[device]'"
        ) from exc
    return soundfile, soxr


@contextmanager
def _opened(path: Path, soundfile: ModuleType) -> Iterator[_Sound]:
    """Open a sound file; every refusal is an InputError."""
    if not path.exists():
        raise InputError(f"{path}: no such file; check the name")
    if not path.is_file():  # a folder, a pipe, a device
        raise InputError(f"{path}: not a regular file; give a sound file")
    try:
        file = path.open("rb")
    except OSError as exc:
        raise InputError(f"{path}: cannot be opened ({exc.strerror}); check its rights") from exc
    with file:
        _refuse_truncated_wav(path, file)
        try:
            sound = soundfile.SoundFile(file)
        except (soundfile.SoundFileError, TypeError) as exc:  # TypeError: a name ending in .raw
            raise InputError(f"{path}: not a sound file that can be read; {READABLE}") from exc
        with sound:
            yield sound


def _refuse_truncated_wav(path: Path, file: BinaryIO) -> None:
    """Refuse a WAV whose header promises more sound than the file holds (a broken copy)."""
    size = file.seek(0, 2)
    file.seek(0)
    if size == 0:
        raise InputError(f"{path}: empty file; record or copy it again")
    header = file.read(12)
    position = 12
    while header[:4] == b"RIFF" and header[8:] == b"WAVE" and position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        held = size - position - 8
        if name == b"data":
            if held < length < STREAMED_SIZE:
                raise InputError(
                    f"{path}: truncated: {held} of the {length} bytes of sound it promises are "
                    "there; copy it again"
                )
            break
        position += 8 + length + length % 2
    file.seek(0)


def _survey(path: Path, sound: _Sound, soundfile: ModuleType) -> _Survey:
    if sound.samplerate < LOWEST_RATE:
        raise InputError(
            f"{path}: sampled at {sound.samplerate} Hz; {LOWEST_RATE} Hz or more is needed"
        )
    frames = 0
    mean_power, channel_power = 0.0, np.zeros(sound.channels)
    for block in _blocks(path, sound, soundfile):
        if not np.isfinite(block).all():
            raise InputError(f"{path}: holds values that are not numbers; export it again")
        if (peak := float(np.abs(block).max())) > HIGHEST_PEAK:
            raise InputError(
                f"{path}: reaches {peak:.0f}, floating-point sound ends at 1; scale it"
            )
        frames += len(block)
        if frames > LONGEST_S * sound.samplerate:
            raise InputError(f"{path}: longer than {LONGEST_S // 3600} hours; cut it into pieces")
        mean_power += float(np.square(block.mean(axis=1), dtype=np.float64).sum())
        channel_power += np.square(block, dtype=np.float64).sum(axis=0)
    if frames == 0:
        raise InputError(f"{path}: holds no sound at all (0 samples); record it again")
    cancelled = CANCELLED * mean_power < channel_power.max()
    return _Survey(frames, int(channel_power.argmax()) if cancelled else None)


def _pieces(
    path: Path, survey: _Survey, soundfile: ModuleType, soxr: ModuleType
) -> Iterator[Recording]:
    with _opened(path, soundfile) as sound:
        resampler = soxr.ResampleStream(sound.samplerate, RATE, 1, dtype="float32")
        heard = 0
        for block in _blocks(path, sound, soundfile):
            heard += len(block)
            mono = block.mean(axis=1) if survey.channel is None else block[:, survey.channel]
            if sound.samplerate != RATE:
                mono = resampler.resample_chunk(mono, last=heard >= survey.frames)
            yield Recording(np.ascontiguousarray(mono, np.float32), str(path))


def _blocks(path: Path, sound: _Sound, soundfile: ModuleType) -> Iterator[Float32]:
    """Yield (n, channels) float32, n > 0, until the file ends."""
    size = max(1, PIECE_VALUES // sound.channels)
    try:
        while len(block := sound.read(size, dtype="float32", always_2d=True)):
            yield block
    except soundfile.SoundFileError as exc:
        raise InputError(f"{path}: damaged or truncated; copy it again") from exc
