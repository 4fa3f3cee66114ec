"""Reads pictures for enrolment: any ordinary or hostile file → upright sRGB pixels."""

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
LARGEST_FILE = 100 * 2**20  # bytes
WORKING = 4096  # pixels of the longer side that are kept: a face is sharp enough in far fewer


def read_file(path: Path) -> bytes:
    """Return the bytes of a picture file.

    Raises:
        InputError: there is no such file, it cannot be opened, or it is none a picture can be.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: not a regular file; give a photo")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError as exc:
        raise InputError(f"{path}: no such file; check the name") from exc
    except OSError as exc:
        raise InputError(f"{path}: cannot be opened ({exc.strerror}); check the file") from exc
    if len(content) > LARGEST_FILE:
        raise InputError(f"{path}: more than {LARGEST_FILE >> 20} MB; make it smaller")
    return content


def decode_picture(content: bytes, name: str) -> UInt8:
    """Return the (h, w, 3) sRGB pixels of a picture, upright, at most `WORKING` on each side.

    EXIF orientation is applied, transparency is laid on white, of an animation the first picture
    is used; 16 bits a channel are scaled to 8.

    Args:
        content: of a JPEG, PNG, GIF, BMP, TIFF or WebP file.
        name: what messages call the picture.

    Raises:
        InputError: the picture cannot be used; names it and says why.
        RuntimeUnavailable: Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as exc:
        raise RuntimeUnavailable(
            "reading photos needs Pillow; run: pip install 'earsight[device]'"
        ) from exc
    Image.init()  # a Pillow may be built without WebP
    formats = [known for known in FORMATS if known in Image.OPEN]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own size warning: ours below is stricter
            with Image.open(io.BytesIO(content), formats=formats) as image:
                if not image.info.get("progressive"):  # those are held whole at full size anyway
                    image.draft("RGB", (WORKING // 2, WORKING // 2))  # JPEG: 1/2, 1/4 or 1/8
                _check_size(name, image)
                rgb = _to_rgb(ImageOps.exif_transpose(image))
                rgb.thumbnail((WORKING, WORKING))
    except UnidentifiedImageError as exc:
        raise InputError(f"{name}: {_unknown(content)}") from exc
    except InputError:
        raise
    except Image.DecompressionBombError as exc:
        raise InputError(f"{name}: {_too_large()}") from exc
    except Exception as exc:  # decoders raise anything on hostile bytes, struct.error included
        raise InputError(f"{name}: damaged or truncated; save it again as JPEG or PNG") from exc
    return np.asarray(rgb, np.uint8)


def centre_face(picture: UInt8) -> UInt8:
    """Return the (112, 112, 3) pixels that the face encoder sees of a photo framed by hand.

    The largest centred square is taken. With a bundle that has no face detector, a photo must show
    one face, framed like the training photos: eyes at .485 of the height, crown to chin .74 of it.
    """
    from PIL import Image

    image = Image.fromarray(picture)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.resize(
        (FRAME, FRAME), Image.Resampling.LANCZOS, (left, top, left + side, top + side)
    )
    return np.asarray(square, np.uint8)[MARGIN:-MARGIN, MARGIN:-MARGIN].copy()


def to_png(pixels: UInt8) -> bytes:
    """Return (h, w, 3) sRGB pixels as a PNG file: a gallery's thumbnail, a portrait.

    Not Pillow's `optimize`: five times the work, and half of a portrait's latency, for 2 % of size.
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def from_png(content: bytes) -> UInt8:
    """Return the (h, w, 3) sRGB pixels of what `to_png` made."""
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        return np.asarray(image.convert("RGB"), np.uint8)


def _check_size(name: str, image: Image.Image) -> None:
    width, height = image.size
    if width * height > LARGEST:
        raise InputError(f"{name}: {_too_large()}")
    if min(width, height) < SMALLEST:
        raise InputError(
            f"{name}: {width} x {height} pixels; {SMALLEST} or more on each side are needed"
        )


def _too_large() -> str:
    return f"more than {LARGEST // 1_000_000} million pixels; make it smaller"


def _unknown(content: bytes) -> str:
    if content[4:8] == b"ftyp":  # ISO 14496-12: what phones call HEIC
        return "a HEIC, AVIF or video file; save it as JPEG"
    return "not a picture that can be read; use JPEG or PNG"


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
