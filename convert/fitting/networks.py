"""The networks that a recipe trains, and what they start from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.errors import ConfigError, InputError

from ..checkpoints.layouts import Layout, Part, find_layout
from ..networks.mobile_face_net import mobile_face_net
from ..networks.shape_of_sound_face import shape_of_sound_face
from ..networks.shape_of_sound_voice import shape_of_sound_voice
from ..networks.voice_students import shape_of_sound_voice_student
from .shape_of_sound import Networks

SIZES = ("published", "small")
TRUNK = "F.model.output_layer.4"  # last layer of the face network that face.evoLVe trains


def build_networks(size: str) -> Networks:
    """Return untrained encoders: the published ones, or their students for small devices."""
    if size == "published":
        return Networks(shape_of_sound_voice(), shape_of_sound_face())
    return Networks(shape_of_sound_voice_student(), mobile_face_net())


def start_from(networks: Mapping[str, Any], text: str) -> None:
    """Fill what a checkpoint has of some networks, role → Keras model, in place.

    Args:
        networks: by their role in a bundle.
        text: LAYOUT=FILE; a layout of `import`, or `ir50`, the face trunk of face.evoLVe
            (backbone_ir50_ms1m_epoch120.pth), which the published recipe starts from.

    Raises:
        ConfigError: the text is not of this form, or the layout is not known or of other networks.
        InputError: the file cannot be read, or does not fit the networks.
    """
    from ..importing.steps import Source, load_parts

    name, equals, path = text.partition("=")
    if not equals:
        raise ConfigError(f"--start {text}: must be LAYOUT=FILE")
    layout = _ir50() if name == "ir50" else find_layout(name)
    given = Source(layout, Path(path))
    if not set(given.roles) & set(networks):
        raise ConfigError(f"--start {text}: this layout has no {' and no '.join(networks)}")
    for part, source in load_parts(given):
        if part.role in networks:
            _copy(source, networks[part.role], path)


def _ir50() -> Layout:
    (whole,) = (p for p in find_layout("shape-of-sound").parts if p.role == "face_encoder")
    part = Part("face_encoder", _face_trunk, whole.rules, prefix="F.model.")
    return Layout("ir50", "face.evoLVe's IR-50", (part,), dim=512)


def _face_trunk() -> Any:
    import tensorflow as tf

    whole = shape_of_sound_face()
    return tf.keras.Model(whole.input, whole.get_layer(TRUNK).output)


def _copy(source: Any, target: Any, path: str) -> None:
    """Copy weights by the names of layers, or all in order when only the shapes agree."""
    own = {layer.name: layer for layer in target.layers if layer.weights}
    layers = [layer for layer in source.layers if layer.weights]
    if all(layer.name in own for layer in layers):
        for layer in layers:
            if _shapes(layer) != _shapes(own[layer.name]):
                raise InputError(f"{path}: layer {layer.name} has other shapes than this network's")
            own[layer.name].set_weights(layer.get_weights())
    elif _shapes(source) == _shapes(target):
        target.set_weights(source.get_weights())
    else:
        raise InputError(f"{path}: is not the network that is trained; see --networks")


def _shapes(part: Any) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in part.weights]
