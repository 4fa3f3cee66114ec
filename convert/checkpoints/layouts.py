"""The checkpoints that can be imported: which networks they hold, under which names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.audio import instance_mel
from edge.audio.compressed_stft import CompressedStftSpec
from edge.audio.frontend import FrontendSpec
from edge.audio.instance_mel import InstanceMelSpec
from edge.audio.kaldi_fbank import KaldiFbankSpec
from edge.audio.logmel import LogMelSpec
from edge.errors import ConfigError, InputError
from edge.manifest import FaceAlignment

from ..networks.association_heads import IMAGE, VOICE, association_head
from ..networks.celeba_decoder import FIRST as CELEBA_FIRST
from ..networks.celeba_decoder import celeba_decoder
from ..networks.mobile_face_net import mobile_face_net
from ..networks.shape_of_sound_face import shape_of_sound_face
from ..networks.shape_of_sound_voice import CUT as SHAPE_OF_SOUND_CUT
from ..networks.shape_of_sound_voice import shape_of_sound_voice
from ..networks.speech2face_decoder import FIRST as S2F_FIRST
from ..networks.speech2face_decoder import speech2face_decoder
from ..networks.speech2face_voice import LAST as S2F_LAST
from ..networks.speech2face_voice import speech2face_voice
from ..networks.x_vector import CUT as X_VECTOR_CUT
from ..networks.x_vector import x_vector
from .assign import Rules, by_order, fill, refuse_extra

Array = npt.NDArray[Any]

# the five landmarks that ArcFace's crops are aligned to (Deng et al. 2019), of 112 pixels: eyes at
# (38.29, 51.70) and (73.53, 51.50), mouth at 92.3; crown to chin is about 3.1 times eyes to mouth
ARCFACE_ALIGNMENT = FaceAlignment(eyes_x=0.499, eyes_y=0.461, crown_to_chin=1.13)


@dataclass(frozen=True, slots=True)
class Part:
    """One network of a checkpoint."""

    role: str  # the model of a bundle it becomes
    build: Callable[[], Any]
    rules: Rules = field(default_factory=Rules)
    cut: str = ""  # layer after which it stays in floating point; "" for int8 throughout
    prefix: str = ""  # of its tensors in the checkpoint, not of its layers
    ordered: bool = False  # re-implementations name modules freely: go by their order


@dataclass(frozen=True, slots=True)
class Layout:
    """A kind of checkpoint."""

    name: str
    about: str
    parts: tuple[Part, ...]
    dim: int  # of the embedding; 0 when only the file knows
    ignored: tuple[str, ...] = ()  # patterns of tensors that only training uses
    frontend: FrontendSpec | None = None
    tables: Callable[[], Mapping[str, Array]] = dict  # tensors that must equal our constants
    alignment: FaceAlignment = ARCFACE_ALIGNMENT
    whole: str = ""  # role of a network that brings its own architecture; then there are no parts


def _shape_of_sound_tables() -> Mapping[str, Array]:
    spec = InstanceMelSpec()
    return {
        "V.model.torchfb.spectrogram.window": instance_mel.hamming(spec),
        "V.model.torchfb.mel_scale.fb": instance_mel.mel_weights(spec).T,
        "normalize.conv.weight": np.full((3, 1, 1, 1), 1 / 127.5),
        "normalize.conv.bias": np.full(3, -1.0),
    }


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout(
            "shape-of-sound",
            "best.pth.tar of Seeking the Shape of Sound (CVPR 2021): voice and face encoder",
            (
                Part(
                    "voice_encoder",
                    shape_of_sound_voice,
                    Rules(transposed=True),
                    cut=SHAPE_OF_SOUND_CUT,
                ),
                Part(
                    "face_encoder",
                    shape_of_sound_face,
                    Rules(
                        bgr=("F.model.input_layer.0",),
                        flat_input={"F.model.output_layer.3": (512, 7, 7)},
                    ),
                ),
            ),
            dim=128,
            ignored=("F.cls.*", "center.*"),
            frontend=InstanceMelSpec(),
            tables=_shape_of_sound_tables,
        ),
        Layout(
            "resnetse34l",
            "baseline_lite_ap.model of voxceleb_trainer: its trunk, a speaker embedding",
            (
                Part(
                    "voice_encoder",
                    partial(shape_of_sound_voice, head=False),
                    Rules(transposed=True),
                    cut=SHAPE_OF_SOUND_CUT,
                    prefix="V.model.",
                ),
            ),
            dim=512,
            ignored=("__L__.*", "torchfb.*"),
            frontend=InstanceMelSpec(),
        ),
        Layout(
            "speech2face-voice",
            "voice encoder of a Speech2Face re-implementation, modules in the paper's order",
            (
                Part(
                    "voice_encoder",
                    speech2face_voice,
                    Rules(flat_input={"fc1": S2F_LAST}),
                    ordered=True,
                ),
            ),
            dim=4096,
            frontend=CompressedStftSpec(),
        ),
        Layout(
            "speech2face-voice-rectified",
            "the same, trained on fc7 behind its ReLU and of unit length",
            (
                Part(
                    "voice_encoder",
                    partial(speech2face_voice, rectified=True),
                    Rules(flat_input={"fc1": S2F_LAST}),
                    ordered=True,
                ),
            ),
            dim=4096,
            frontend=CompressedStftSpec(),
        ),
        Layout(
            "speech2face-voice-keras",
            "the same as Keras HDF5 weights, whose input is |S|**0.3 and the phase",
            (Part("voice_encoder", speech2face_voice, Rules(keras_axes=True), ordered=True),),
            dim=4096,
            frontend=CompressedStftSpec(channels="magnitude_phase"),
        ),
        Layout(
            "speech2face-decoder",
            "face decoder of a Speech2Face re-implementation: unit fc7 to a 224 x 224 face",
            (
                Part(
                    "portrait_decoder",
                    speech2face_decoder,
                    Rules(flat_output={"fc2": S2F_FIRST}),
                    ordered=True,
                ),
            ),
            dim=4096,
        ),
        Layout(
            "x-vector",
            "NPZ of a time-delay speaker embedding (Espressif's sv_tdnn_tiny, 6 s)",
            (Part("voice_encoder", x_vector, Rules(keras_axes=True), cut=X_VECTOR_CUT),),
            dim=512,
            ignored=("*.dilation",),
            frontend=KaldiFbankSpec(),
        ),
        Layout(
            "mobilefacenet",
            "MobileFaceNet face encoder",
            (Part("face_encoder", mobile_face_net),),
            dim=128,
        ),
        Layout(
            "celeba-decoder",
            "decoder of a disentangling-vae trained on CelebA",
            (
                Part(
                    "portrait_decoder",
                    celeba_decoder,
                    Rules(flat_output={"decoder.lin3": CELEBA_FIRST}),
                ),
            ),
            dim=10,
            ignored=("encoder.*",),
        ),
        Layout(
            "association-heads",
            "voice and image heads over features of other networks",
            (
                Part("voice_head", partial(association_head, VOICE, "voice_model_state_dict.")),
                Part("image_head", partial(association_head, IMAGE, "image_model_state_dict.")),
            ),
            dim=64,
            ignored=("optimizer_state_dict.*",),
        ),
        Layout(
            "shape-of-sound-student",
            "a whole voice encoder that hears what Shape of Sound's does",
            (),
            dim=0,
            frontend=InstanceMelSpec(),
            whole="voice_encoder",
        ),
        Layout(
            "x-vector-student",
            "a whole voice encoder that hears what the x-vector does",
            (),
            dim=0,
            frontend=KaldiFbankSpec(),
            whole="voice_encoder",
        ),
        Layout(
            "speech2face-student",
            "a whole voice encoder that hears what Speech2Face's does",
            (),
            dim=0,
            frontend=CompressedStftSpec(),
            whole="voice_encoder",
        ),
        Layout(
            "speech2face-phase-student",
            "a whole voice encoder that hears what speech2face-voice-keras does",
            (),
            dim=0,
            frontend=CompressedStftSpec(channels="magnitude_phase"),
            whole="voice_encoder",
        ),
        Layout(
            "voice",
            "a whole voice encoder on our own front-end's features, code / 32",
            (),
            dim=0,
            frontend=LogMelSpec(),
            whole="voice_encoder",
        ),
        Layout("face", "a whole face encoder", (), dim=0, whole="face_encoder"),
        Layout("portrait", "a whole portrait decoder", (), dim=0, whole="portrait_decoder"),
    )
}


def find_layout(name: str) -> Layout:
    """Return a layout by name.

    Raises:
        ConfigError: there is none; lists those there are.
    """
    if name not in LAYOUTS:
        raise ConfigError(f"layout '{name}' is not known; known are {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def load_networks(layout: Layout, tensors: Mapping[str, Array]) -> dict[str, Any]:
    """Build the layout's networks and fill them; returns role → Keras model.

    Raises:
        InputError: a tensor is missing, left over, misshapen or, for the front-end's tables,
            other than ours; names it.
    """
    used: set[str] = set()
    networks = {}
    _check_tables(layout, tensors)
    for part in layout.parts:
        network = part.build()
        named: Mapping[str, Array] = {part.prefix + name: a for name, a in tensors.items()}
        if part.ordered:
            fill(network, by_order(network, named), part.rules)
            used |= set(named)
        else:
            used |= {n.removeprefix(part.prefix) for n in fill(network, named, part.rules)}
        networks[part.role] = network
    refuse_extra(tensors, used, (*layout.ignored, *layout.tables()))
    return networks


def _check_tables(layout: Layout, tensors: Mapping[str, Array]) -> None:
    """Hold what the checkpoint says of its front-end to the one the device computes."""
    for name, own in layout.tables().items():
        if name not in tensors:
            continue
        given = tensors[name]
        if given.shape != own.shape or not np.allclose(given, own, atol=1e-4):
            raise InputError(
                f"tensor {name} is not the table of this front-end: the checkpoint was trained on "
                "other features, which the device does not compute"
            )
