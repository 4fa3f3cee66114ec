"""Files of a data set as the papers' own loaders give them to their networks (section 1 and 2).

Unlike a device, which looks for speech and for a face: an utterance of VoxCeleb1 is speech from its
first sample, a crop of VGGFace is a face from edge to edge.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge.audio.frontend import FrontendSpec, encoder_input
from edge.types import Float32, Int8, UInt8

SIZE = 112  # pixels, both sides
PADDING = 127  # of every channel, beyond a picture that is not square


def published_voice(path: Path, spec: FrontendSpec) -> Int8 | Float32:
    """Return what a voice encoder hears of a whole recording, from its first sample on.

    Raises:
        InputError: the recording cannot be used; names it.
    """
    from edge.audio.file import read_recording

    return encoder_input(read_recording(path).samples, spec)


def published_face(path: Path, size: int = SIZE) -> UInt8:
    """Return a whole picture (size, size, 3) sRGB, its longer side fitted by bilinear resizing.

    Raises:
        InputError: the picture cannot be used; names it.
    """
    from PIL import Image

    from edge.face.photo import decode_picture, read_file

    picture = Image.fromarray(decode_picture(read_file(path), str(path)))
    scale = size / max(picture.size)
    width, height = (max(1, round(n * scale)) for n in picture.size)
    fitted = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR), np.uint8)
    square = np.full((size, size, 3), PADDING, np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = fitted
    return square
