"""A folder of people with recordings and photos, made of ALSA's test sounds and rendered faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.faces import bad_files, jpeg, photo_of, rendered_faces

PHRASES = Path("/usr/share/sounds/alsa")


def write_people(folder: Path, people: int, voices: int, photos: int, phrases: int = 1) -> None:
    """Write folder/PERSON/v0.wav ... and p0.jpg ...; no two files are the same.

    Args:
        folder: made when absent.
        people: how many.
        voices: recordings of each.
        photos: of each.
        phrases: of 1.4 s in one recording.
    """
    faces = rendered_faces() if photos else []
    sounds = phrases_heard()
    for person in range(people):
        home = folder / f"person{person:04d}"
        home.mkdir(parents=True)
        for number in range(voices):
            rng = np.random.default_rng([person, number, 5])
            chosen = [sounds[i] for i in rng.integers(len(sounds), size=phrases)]
            samples = np.concatenate(chosen) * rng.uniform(0.3, 0.9)
            samples += rng.normal(0, 1e-4, len(samples))
            soundfile.write(home / f"v{number}.wav", samples, 48_000, "PCM_16")
        for number in range(photos):
            face = faces[(person * photos + number) % len(faces)]
            (home / f"p{number}.jpg").write_bytes(jpeg(photo_of(face, seed=1000 * person + number)))


def write_bad_files(folder: Path) -> dict[str, str]:
    """Write files that cannot be embedded, as one more person; return id → a word of the reason."""
    home = folder / "trouble"
    home.mkdir()
    expected = {}
    for name, content, word in bad_files(rendered_faces()[0]):
        if not name.endswith((".post", ".heic")):  # endings that no reader takes for a picture
            (home / name).write_bytes(content)
            expected[f"trouble/{name}"] = word
    whole = next(iter(sorted(PHRASES.glob("Front*.wav")))).read_bytes()
    for name, content, word in (
        ("cut.wav", whole[: len(whole) // 2], "truncated"),
        ("text.wav", b"no sound at all", "not a sound file"),
        ("empty.wav", b"", "empty"),
    ):
        (home / name).write_bytes(content)
        expected[f"trouble/{name}"] = word
    soundfile.write(home / "silence.wav", np.zeros(32_000), 16_000)
    expected["trouble/silence.wav"] = "silence"
    return expected


def phrases_heard() -> list[np.ndarray]:
    """Return ALSA's spoken phrases, mono at 48 kHz."""
    paths = sorted(path for path in PHRASES.glob("*.wav") if path.name != "Noise.wav")
    if not paths:
        pytest.skip("ALSA's test sounds are not installed (alsa-utils)")
    return [soundfile.read(path, dtype="float64", always_2d=True)[0][:, 0] for path in paths]
