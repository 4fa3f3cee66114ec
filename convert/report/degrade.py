"""What happens to a voice on its way to the device, one damage at a time and of stated size."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from edge.types import Float32

RATE = 16_000
BABBLE_VOICES = 4
TELEPHONE_HZ = (300.0, 3400.0)
MU = 255.0  # of G.711
MP3_LEVEL, OPUS_LEVEL = 0.95, 0.999  # libsndfile's; 16 and 9 kbit/s at 16 kHz mono
PEAK = 0.6  # of full scale, that of a clean clip

Damage = Callable[[Float32, np.random.Generator, Float32], Float32]


def noise(sound: Float32, rng: np.random.Generator, others: Float32, snr_db: float) -> Float32:
    """Add pink noise."""
    spectrum = np.fft.rfft(rng.normal(size=len(sound)))
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE).clip(40.0)
    return _mixed(sound, np.fft.irfft(spectrum / np.sqrt(frequency), len(sound)), snr_db)


def babble(sound: Float32, rng: np.random.Generator, others: Float32, snr_db: float) -> Float32:
    """Add four other people talking; `others` is (m, n)."""
    return _mixed(sound, others[rng.choice(len(others), BABBLE_VOICES)].sum(axis=0), snr_db)


def room(sound: Float32, rng: np.random.Generator, others: Float32, decay_s: float) -> Float32:
    """Add reverberation as loud as the direct sound, falling 60 dB in `decay_s` (Polack)."""
    seconds = np.arange(int(decay_s * RATE)) / RATE
    response = rng.normal(size=len(seconds)) * 10 ** (-3.0 * seconds / decay_s)
    response[0] = np.sqrt((response[1:] ** 2).sum())
    size = 1 << int(len(sound) + len(response)).bit_length()
    heard = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)
    return _scaled(heard[: len(sound)])


def telephone(sound: Float32, rng: np.random.Generator, others: Float32) -> Float32:
    """Keep 300 to 3400 Hz (Butterworth, 8th order) and 8-bit mu-law codes."""
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE).clip(1.0)
    low, high = TELEPHONE_HZ
    gain = 1 / np.sqrt((1 + (low / frequency) ** 16) * (1 + (frequency / high) ** 16))
    heard = _scaled(np.fft.irfft(np.fft.rfft(sound) * gain, len(sound)))
    codes = np.round(np.log1p(MU * np.abs(heard)) / np.log1p(MU) * 127) / 127
    return np.asarray(np.copysign(np.expm1(codes * np.log1p(MU)) / MU, heard), np.float32)


def mp3(sound: Float32, rng: np.random.Generator, others: Float32) -> Float32:
    """Encode as MP3 at 16 kbit/s and decode."""
    return _through(sound, "MP3", "MPEG_LAYER_III", MP3_LEVEL, "CONSTANT")


def opus(sound: Float32, rng: np.random.Generator, others: Float32) -> Float32:
    """Encode as Opus at 9 kbit/s and decode."""
    return _through(sound, "OGG", "OPUS", OPUS_LEVEL, None)


def clipped(sound: Float32, rng: np.random.Generator, others: Float32, by_db: float) -> Float32:
    """Cut off everything more than full scale after raising the level until the peak is `by_db`."""
    return np.clip(sound * np.float32(10 ** (by_db / 20) / np.abs(sound).max()), -1.0, 1.0)


def quiet(sound: Float32, rng: np.random.Generator, others: Float32, by_db: float) -> Float32:
    """Lower the level and round to 16 bits, as a sound card with its gain down does."""
    return np.asarray(np.rint(sound * 10 ** (-by_db / 20) * 32768) / 32768, np.float32)


CONDITIONS: Mapping[str, Damage] = {
    "noise 20 dB": partial(noise, snr_db=20.0),
    "noise 10 dB": partial(noise, snr_db=10.0),
    "noise 5 dB": partial(noise, snr_db=5.0),
    "noise 0 dB": partial(noise, snr_db=0.0),
    "babble 10 dB": partial(babble, snr_db=10.0),
    "babble 5 dB": partial(babble, snr_db=5.0),
    "room, T60 0.4 s": partial(room, decay_s=0.4),
    "room, T60 0.8 s": partial(room, decay_s=0.8),
    "telephone": telephone,
    "MP3 16 kbit/s": mp3,
    "Opus 9 kbit/s": opus,
    "clipped by 12 dB": partial(clipped, by_db=12.0),
    "40 dB too quiet": partial(quiet, by_db=40.0),
}


def _through(sound: Float32, kind: str, codec: str, level: float, mode: str | None) -> Float32:
    import soundfile

    file = io.BytesIO()
    soundfile.write(
        file, sound, RATE, format=kind, subtype=codec, compression_level=level, bitrate_mode=mode
    )
    file.seek(0)
    heard, _ = soundfile.read(file, dtype="float32")
    return np.asarray(np.resize(heard, len(sound)), np.float32)


def _mixed(sound: Float32, disturbance: np.ndarray, snr_db: float) -> Float32:  # type: ignore[type-arg]
    level = sound.std() / (disturbance.std() + 1e-12) * 10 ** (-snr_db / 20)
    return _scaled(sound + level * disturbance)


def _scaled(sound: np.ndarray) -> Float32:  # type: ignore[type-arg]
    """Bring the peak back to that of a clean clip: nothing else than the damage changes."""
    return np.asarray(sound * (PEAK / (np.abs(sound).max() + 1e-12)), np.float32)
