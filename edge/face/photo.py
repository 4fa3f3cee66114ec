"""Reads a photo of a face for enrolment."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError, RuntimeUnavailable
from ..types import UInt8

if TYPE_CHECKING:
    from PIL import Image

FRAME = 128  # pixels, the square the training photos were drawn in
MARGIN = 8  # of the frame, on each side; the face encoder sees the central 112
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")  # no EPS: it would run Ghostscript
SMALLEST = 64  # pixels of the shorter side
LARGEST = 50_000_000  # pixels: 150 MB as RGB, what a small board still holds
FRAMING = "one face, centred, eyes halfway down, crown to chin three quarters of the height"


def load_face(path: Path) -> UInt8:
    """Return the (112, 112, 3) sRGB pixels of a photo as the face encoder wants them.

    The largest centred square is taken, as there is no face detection: the photo must be framed
    like the training photos (`FRAMING`; eyes at .485 of the height, crown to chin .74 of it).
    EXIF orientation is applied, transparency is laid on white, of an animation the first picture
    is used.

    Raises:
        InputError: the file cannot be used; names it and says why.
        RuntimeUnavailable: Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as exc:
        raise RuntimeUnavailable(
            "reading photos needs Pillow; run: pip install 'earsight[device]'"
        ) from exc
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: not a regular file; give a photo")
    Image.init()  # a Pillow may be built without WebP
    formats = [name for name in FORMATS if name in Image.OPEN]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own size warning: ours below is stricter
            with Image.open(path, formats=formats) as image:
                _check_size(path, image)
                upright = ImageOps.exif_transpose(image)
                rgb = _to_rgb(upright)
    except UnidentifiedImageError as exc:
        raise InputError(f"{path}: not a picture that can be read; use JPEG or PNG") from exc
    except FileNotFoundError as exc:
        raise InputError(f"{path}: no such file; check the name") from exc
    except InputError:
        raise
    except Image.DecompressionBombError as exc:
        raise InputError(f"{path}: {_too_large()}") from exc
    except PermissionError as exc:
        raise InputError(f"{path}: cannot be opened ({exc.strerror})") from exc
    except Exception as exc:  # decoders raise anything on hostile bytes, struct.error included
        raise InputError(f"{path}: damaged or truncated; save it again as JPEG or PNG") from exc
    return _frame(rgb)


def to_png(pixels: UInt8) -> bytes:
    """Return (h, w, 3) sRGB pixels as a PNG file: a gallery's thumbnail, a portrait.

    Not Pillow's `optimize`: five times the work, and half of a portrait's latency, for 2 % of size.
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _check_size(path: Path, image: Image.Image) -> None:
    width, height = image.size
    if width * height > LARGEST:
        raise InputError(f"{path}: {_too_large()}")
    if min(width, height) < SMALLEST:
        raise InputError(
            f"{path}: {width} x {height} pixels; {SMALLEST} or more on each side are needed"
        )


def _too_large() -> str:
    return f"more than {LARGEST // 1_000_000} million pixels; make it smaller"


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):  # 16 bits and more: Pillow's own conversion clips to 255
        values = np.asarray(image, np.float64)
        top = 65535.0 if values.max(initial=0) > 255 else 255.0
        image = Image.fromarray((np.clip(values / top, 0, 1) * 255).astype(np.uint8))
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers)
    return image.convert("RGB")


def _frame(image: Image.Image) -> UInt8:
    """Cut the largest centred square, resize it to the frame, return the encoder's part of it."""
    from PIL import Image

    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.resize(
        (FRAME, FRAME), Image.Resampling.LANCZOS, (left, top, left + side, top + side)
    )
    return np.asarray(square, np.uint8)[MARGIN:-MARGIN, MARGIN:-MARGIN].copy()
