"""The published networks run in PyTorch: what Keras, and through it int8, is held to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from convert.checkpoints.reading import read_tensors
from tests import torch_networks
from tests.torch_files import (
    layout_tensors,
    shape_of_sound_tensors,
    speech2face_decoder_tensors,
    speech2face_voice_tensors,
    vgg_face_tensors,
)
from tests.torch_inputs import THINNED, TRAINED, given

Arrays = dict[str, np.ndarray]

HEADS = {"voice": (192, 164, 128, 64), "image": (512, 256, 128, 64)}
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def load(network: torch.nn.Module, tensors: dict[str, np.ndarray]) -> torch.nn.Module:
    """Fill a network and put it into evaluation."""
    state = {n: a for n, a in network.state_dict().items() if n.endswith("num_batches_tracked")}
    state |= {name: torch.from_numpy(np.array(a)) for name, a in tensors.items()}
    network.load_state_dict(state)
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


def speech2face_embedding(network: torch.nn.Module, features: np.ndarray) -> np.ndarray:
    """Return (n, 4096) of our features (n, time, frequency, 2)."""
    return run(network, features.transpose(0, 3, 1, 2))


def portrait(network: torch.nn.Module, embedding: np.ndarray) -> np.ndarray:
    """Return (n, h, w, 3) of our embeddings (n, d)."""
    return run(network, embedding).transpose(0, 2, 3, 1)


def imagenet_normal(image: np.ndarray) -> np.ndarray:
    """Return our pictures (n, h, w, 3), 0..1, as torchvision normalises them, channels first."""
    return ((image - MEAN) / STD).transpose(0, 3, 1, 2)


def vgg_face_input(image: np.ndarray) -> np.ndarray:
    """Return our pictures (n, 224, 224, 3), RGB 0..255, without VGG-Face's means."""
    means = np.array([129.1863, 104.7624, 93.5940], np.float32)
    return (image - means).transpose(0, 3, 1, 2)


def x_vector(tensors: Arrays) -> torch.nn.Module:
    """Return the x-vector with a checkpoint's tensors, kernels (k, in, out)."""
    state = {n: a.transpose(range(a.ndim)[::-1]) for n, a in tensors.items() if "dilation" not in n}
    return load(torch_networks.XVector(), state)


def celeba_decoder(tensors: Arrays) -> torch.nn.Module:
    """Return the CelebA decoder with the decoder's half of a checkpoint's tensors."""
    state = {n.removeprefix("decoder."): a for n, a in tensors.items() if n.startswith("decoder")}
    return load(torch_networks.CelebaDecoder(), state)


def association_head(part: str, tensors: Arrays) -> torch.nn.Module:
    """Return the "voice" or "image" head of a checkpoint."""
    prefix = f"{part}_model_state_dict."
    state = {n.removeprefix(prefix): a for n, a in tensors.items() if n.startswith(prefix)}
    return load(torch_networks.AssociationHead(HEADS[part]), state)


def golden() -> Arrays:
    """Return what PyTorch makes of made-up weights, by the names of `tests.torch_inputs`."""
    voice, face = shape_of_sound(shape_of_sound_tensors())
    heads = layout_tensors("association-heads")
    seen = given("mobilefacenet")
    return {
        "voice": voice_embedding(voice, given("voice")),
        "voice_trunk": run(voice.model, given("voice").transpose(0, 3, 2, 1)),
        "face": face_embedding(face, given("face")),
        "speech2face-voice": speech2face_embedding(
            load(torch_networks.Speech2FaceVoice(), speech2face_voice_tensors()),
            given("speech2face-voice"),
        ),
        "speech2face-decoder": portrait(
            load(torch_networks.Speech2FaceDecoder(), speech2face_decoder_tensors()),
            given("speech2face-decoder"),
        )[:, ::THINNED, ::THINNED],
        "vgg-face": run(load(torch_networks.VggFace(), vgg_face_tensors()),
                        vgg_face_input(given("vgg-face"))),
        "x-vector": run(x_vector(layout_tensors("x-vector")),
                        given("x-vector")[..., 0].transpose(0, 2, 1)),
        "mobilefacenet": run(load(torch_networks.MobileFaceNet(), layout_tensors("mobilefacenet")),
                             imagenet_normal(seen)),
        "celeba-decoder": portrait(celeba_decoder(layout_tensors("celeba-decoder")),
                                   given("celeba-decoder")),
        "voice_head": run(association_head("voice", heads), given("voice_head")),
        "image_head": run(association_head("image", heads), given("image_head")),
    }  # fmt: skip


def trained(folder: Path) -> Arrays:
    """Return what PyTorch makes of the trained weights of a folder, names ending in "-trained"."""
    tensors = {name: read_tensors(folder / file) for name, file in TRAINED.items()}
    heads = tensors["association-heads"]
    networks = {
        "x-vector": x_vector(tensors["x-vector"]),
        "mobilefacenet": load(torch_networks.MobileFaceNet(), tensors["mobilefacenet"]),
        "celeba-decoder": celeba_decoder(tensors["celeba-decoder"]),
        "voice_head": association_head("voice", heads),
        "image_head": association_head("image", heads),
    }
    inputs = {name: given(name) for name in networks}
    inputs["x-vector"] = inputs["x-vector"][..., 0].transpose(0, 2, 1)
    inputs["mobilefacenet"] = imagenet_normal(inputs["mobilefacenet"])
    made = {name: run(network, inputs[name]) for name, network in networks.items()}
    made["celeba-decoder"] = made["celeba-decoder"].transpose(0, 2, 3, 1)
    return {f"{name}-trained": array for name, array in made.items()}
