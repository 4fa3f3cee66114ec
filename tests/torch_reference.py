"""The published networks run in PyTorch: what Keras, and through it int8, is held to."""

from __future__ import annotations

import numpy as np
import torch

from tests import torch_networks
from tests.torch_files import random_tensor, shape_of_sound_tensors

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def voice_input() -> np.ndarray:
    """Return features (1, 1001, 40, 1) of a Shape of Sound voice encoder, always the same."""
    return np.random.default_rng(1).standard_normal((1, 1001, 40, 1), np.float32)


def face_input() -> np.ndarray:
    """Return a picture (1, 112, 112, 3), 0..1, always the same."""
    return np.random.default_rng(2).random((1, 112, 112, 3), np.float32)


def random_state(network: torch.nn.Module, prefix: str) -> dict[str, np.ndarray]:
    """Return made-up weights for a network, by the names of its state_dict."""
    return {
        name: random_tensor(prefix + name, tuple(value.shape), str(value.numpy().dtype))
        for name, value in network.state_dict().items()
    }


def load(network: torch.nn.Module, tensors: dict[str, np.ndarray]) -> torch.nn.Module:
    """Fill a network and put it into evaluation."""
    network.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in tensors.items()})
    return network.eval()


def shape_of_sound(tensors: dict[str, np.ndarray]) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Return the voice and the face encoder with a checkpoint's tensors."""
    both = torch_networks.shape_of_sound()
    known = both.state_dict()
    load(both, {name: array for name, array in tensors.items() if name in known})
    return both["V"], both["F"]


def run(network: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    """Return a network's output for an input, as arrays."""
    torch.set_num_threads(1)
    with torch.no_grad():
        return network(torch.from_numpy(np.ascontiguousarray(x))).numpy()


def voice_embedding(network: torch.nn.Module, features: np.ndarray) -> np.ndarray:
    """Return (n, 128) of our features (n, time, frequency, 1)."""
    return run(network, features.transpose(0, 3, 2, 1))


def face_embedding(network: torch.nn.Module, image: np.ndarray) -> np.ndarray:
    """Return (n, 128) of our pictures (n, h, w, 3), sRGB 0..1."""
    bgr = (image[..., ::-1] * 255.0 - 127.5) / 127.5
    return run(network, bgr.transpose(0, 3, 1, 2))


def golden() -> dict[str, np.ndarray]:
    """Return what PyTorch makes of the made-up Shape of Sound checkpoint."""
    voice, face = shape_of_sound(shape_of_sound_tensors())
    return {
        "voice": voice_embedding(voice, voice_input()),
        "voice_trunk": run(voice.model, voice_input().transpose(0, 3, 2, 1)),
        "face": face_embedding(face, face_input()),
    }
