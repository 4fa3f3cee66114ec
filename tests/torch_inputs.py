"""The inputs that Keras and PyTorch are compared on, by network; without PyTorch."""

from __future__ import annotations

import numpy as np

THINNED = 8  # of Speech2Face's portrait every eighth row and column is kept
TRAINED = {  # layout → its file of trained weights, below SHARED/data/weights
    "x-vector": "xvector_tdnn_6s.npz",
    "mobilefacenet": "mobilefacenet.pt",
    "celeba-decoder": "btcvae_celeba.pt",
    "association-heads": "voice_face_heads.pth",
}
# seed, shape, and whether values are standard normal or 0..1; features are of a log-mel's size
_INPUTS = {
    "voice": (1, (1, 1001, 40, 1), "normal"),
    "face": (2, (1, 112, 112, 3), "unit"),
    "mobilefacenet": (2, (1, 112, 112, 3), "unit"),
    "speech2face-voice": (3, (1, 598, 257, 2), "normal"),
    "speech2face-decoder": (7, (2, 4096), "direction"),
    "vgg-face": (8, (1, 224, 224, 3), "bytes"),
    "x-vector": (4, (1, 600, 80, 1), "log"),
    "celeba-decoder": (5, (4, 10), "normal"),
    "voice_head": (6, (8, 192), "normal"),
    "image_head": (6, (8, 512), "normal"),
}


def given(name: str) -> np.ndarray:
    """Return the input of a network as our Keras takes it, (n, ...) float32, always the same."""
    seed, shape, kind = _INPUTS[name]
    rng = np.random.default_rng(seed)
    if kind in ("unit", "bytes"):
        return rng.random(shape, np.float32) * np.float32(255 if kind == "bytes" else 1)
    values = rng.standard_normal(shape, np.float32)
    if kind == "direction":  # decoders get unit vectors
        values /= np.linalg.norm(values, axis=-1, keepdims=True)
    return values * np.float32(4) if kind == "log" else values
