"""Make tests/data/logmel_golden.npz: a sound and the codes that every machine must get from it.

Run `python tests/make_golden.py` only when the features are meant to change. The sound is kept
beside its codes, so that the test depends on no random generator and no other maths library.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.audio.logmel import LogMelSpec, features

GOLDEN = Path(__file__).parent / "data" / "logmel_golden.npz"


def golden_sound(seconds: float = 3.2, sample_rate: int = 16000) -> npt.NDArray[np.int16]:
    """Return a gliding vowel with breath, a pause, a click and a burst of full-scale noise."""
    rng = np.random.default_rng([20, 24])
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    phase = 2 * np.pi * np.cumsum(140 + 60 * np.sin(2 * np.pi * 0.7 * time)) / sample_rate
    sound = np.zeros(len(time))
    for harmonic in range(1, 36):
        formants = sum(
            np.exp(-(((harmonic * 140 - centre) / width) ** 2))
            for centre, width in ((600, 150), (1300, 200), (2600, 300))
        )
        sound += (formants + 0.01) * np.sin(harmonic * phase)
    sound = 0.15 * sound * (0.55 + 0.45 * np.sin(2 * np.pi * 1.9 * time))
    sound += 0.003 * rng.normal(size=len(time))
    sound[(time > 1.2) & (time < 1.5)] *= 0.001
    sound[int(1.35 * sample_rate)] = 0.9
    sound[time > 3.05] = rng.uniform(-1, 1, int((time > 3.05).sum()))
    return np.round(32767 * np.clip(sound, -1, 1)).astype(np.int16)


def main() -> None:
    """Write the file."""
    spec = LogMelSpec()
    pcm = golden_sound()
    codes = features(pcm.astype(np.float32) / np.float32(32768), spec)
    GOLDEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN, pcm=pcm, codes=codes, fingerprint=spec.fingerprint())
    print(f"{GOLDEN}: {codes.shape} codes, fingerprint {spec.fingerprint()[:16]}")


if __name__ == "__main__":
    main()
