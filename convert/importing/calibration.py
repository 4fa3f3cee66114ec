"""What the ranges of int8 tensors are taken from, and what the result is then measured on."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.audio.frontend import FrontendSpec, encoder_input
from edge.audio.logmel import INPUT_SCALE, LogMelSpec
from edge.errors import InputError
from edge.types import Float32, Int8, UInt8

from .sounds import speech_like

SOUNDS = (".flac", ".mp3", ".ogg", ".wav")
PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
FACE = 112  # pixels, both sides
_SEED = 11
_CLIP_S = 10.0


@dataclass(frozen=True, slots=True)
class Samples:
    """Real inputs of one network."""

    calibration: Float32  # (n, ...)
    held_out: Float32  # (m, ...), for measuring
    source: str  # where they come from, for the report


def voices(folder: Path | None, spec: FrontendSpec, count: int) -> Samples:
    """Return features of recordings under a folder, or of speech-like sounds.

    Args:
        folder: searched for sound files, sub-folders included; None for sounds made here.
        spec: the features.
        count: how many to calibrate on; as many again are held out where there are enough.

    Raises:
        InputError: the folder holds fewer than two sounds, or one cannot be read.
    """
    if folder is None:
        sounds = speech_like(2 * count, _CLIP_S, _SEED)
        source = "speech-like sounds"
    else:
        from edge.audio.file import read_recording

        paths = found(folder, SOUNDS, 2 * count)
        sounds = [read_recording(path).samples for path in paths]
        source = _about(folder, len(paths))
    clips = [real(encoder_input(sound, spec)) for sound in sounds]
    middle = np.stack([clip[len(clip) // 2] for clip in clips])
    if isinstance(spec, LogMelSpec):
        # feature codes are the model's input as they are: its range must be all of theirs
        middle[0, 0, :2, 0] = -128 * INPUT_SCALE, 127 * INPUT_SCALE
    return _halves(middle, count, source)


def faces(folder: Path | None, count: int) -> Samples:
    """Return pictures (n, 112, 112, 3), 0..1, of photos under a folder, or of the shipped faces.

    Raises:
        InputError: the folder holds fewer than two photos, or one cannot be read.
    """
    if folder is None:
        pictures, source = _shipped_faces(), "the sample gallery's synthetic faces"
    else:
        paths = found(folder, PICTURES, 2 * count)
        pictures = np.stack([read_face(path) for path in paths])
        source = _about(folder, len(paths))
    return _halves(pictures.astype(np.float32) / np.float32(255.0), count, source)


def read_face(path: Path) -> UInt8:
    """Return the middle of a photo, (112, 112, 3) sRGB, framed by hand as for enrolment.

    Raises:
        InputError: the photo cannot be used.
    """
    from edge.face.photo import centre_face, decode_picture, read_file

    return centre_face(decode_picture(read_file(path), str(path)))


def latents(dim: int, count: int, length: float | None) -> Samples:
    """Return random embeddings (n, dim): of a fixed length, or standard normal without one."""
    rng = np.random.default_rng(_SEED)
    values = rng.normal(size=(2 * count, dim)).astype(np.float32)
    if length is not None:
        values *= length / np.linalg.norm(values, axis=1, keepdims=True)
    about = "standard normal" if length is None else f"random, of length {length:g}"
    return _halves(values, count, about)


def like_training(network: Any, count: int) -> Samples:
    """Return inputs (n, d) with the statistics that a head's first batch norm was trained on.

    For heads over features of a network nobody has: the inputs' mean is the one that gives the
    batch norm's running mean, their variance gives its running variance on average.
    """
    kinds = [type(layer).__name__ for layer in network.layers]
    dense = network.layers[kinds.index("Dense")]
    kernel, bias = (weight.astype(np.float64) for weight in dense.get_weights())
    _, _, mean, variance = network.layers[kinds.index("BatchNormalization")].get_weights()
    centre = np.linalg.lstsq(kernel.T, mean - bias, rcond=None)[0]
    spread = np.sqrt(variance.mean() / (kernel**2).sum(axis=0).mean())
    rng = np.random.default_rng(_SEED)
    values = centre + spread * rng.normal(size=(2 * count, len(centre)))
    return _halves(values.astype(np.float32), count, "its first batch norm's own statistics")


def found(folder: Path, suffixes: tuple[str, ...], count: int | None = None) -> list[Path]:
    """Return files under a folder; of more than `count` that many, spread over sub-folders.

    Raises:
        InputError: there are fewer than two.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
    if len(paths) < 2:
        raise InputError(f"{folder}: holds {len(paths)} files of {', '.join(suffixes)}; give more")
    if count is None or len(paths) <= count:
        return paths
    return [paths[i] for i in np.linspace(0, len(paths) - 1, count).astype(int)]


def _about(folder: Path, count: int) -> str:
    return f"every other one of {count} files of {folder.resolve().name}/"


def _shipped_faces() -> UInt8:
    from PIL import Image

    from edge.face.gallery import sample_gallery_path
    from edge.face.gallery_file import load_gallery

    gallery = load_gallery(sample_gallery_path())
    pictures = []
    for person in gallery.people:
        with Image.open(io.BytesIO(person.thumbnail)) as picture:
            pictures.append(np.asarray(picture.convert("RGB").resize((FACE, FACE))))
    return np.stack(pictures)


def real(windows: Int8 | Float32) -> Float32:
    """Return the real values (w, frames, bands, channels) of a front-end's output."""
    if windows.dtype == np.int8:
        return np.asarray(windows[..., None] * INPUT_SCALE, np.float32)
    return np.asarray(windows, np.float32)


def _halves(values: Float32, count: int, source: str) -> Samples:
    """Calibrate on every other one, so that both halves hold everybody."""
    return Samples(values[::2][:count], values[1::2][:count], source)
