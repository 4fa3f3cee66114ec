"""Training and device see the same features, byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.audio.logmel import LogMel, LogMelSpec, windows

SPEC = LogMelSpec()


def test_training_features_are_the_devices(tmp_path: Path) -> None:
    """One WAV: through a training shard, and through the device's file reader and streaming."""
    soundfile = pytest.importorskip("soundfile", reason="the [device] extra is not installed")
    from convert.training.features import load_features, make_features
    from edge.audio.file import read_recording

    rng = np.random.default_rng(8)
    clip = 51200  # samples of a training clip
    tone = np.sin(np.cumsum(rng.uniform(0.02, 0.4, clip)))
    audio = np.rint(9000 * tone * rng.uniform(0.1, 1, clip)).astype(np.int16)

    (tmp_path / "clips").mkdir()
    np.savez(tmp_path / "clips" / "clips_0000.npz", audio=audio[None], person=np.array(["p00000"]))
    make_features(tmp_path / "clips", tmp_path / "features", 1, SPEC, seed=1, workers=1)
    trained_on = load_features(tmp_path / "features").codes[0, 0]

    start = (clip - SPEC.window_samples) // 2  # version 0 is cut from the middle
    wav = tmp_path / "clip.wav"
    soundfile.write(wav, audio[start : start + SPEC.window_samples], 16000, subtype="PCM_16")
    samples = read_recording(wav).samples
    frontend, energies = LogMel(SPEC), []
    for at in range(0, len(samples), 997):  # in pieces, as from a microphone
        energies.append(frontend.feed(samples[at : at + 997]))
    energies.append(frontend.flush())
    heard = windows(np.concatenate(energies), SPEC)

    assert heard.shape == (1, SPEC.frames, SPEC.mels)
    assert heard.tobytes() == trained_on.tobytes()
    assert len(np.unique(heard)) > 50
