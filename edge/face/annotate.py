"""A picture of what was seen in a photo: the faces found, framed, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..types import UInt8
from .detect import Box
from .photo import to_png

WIDTH = 640  # pixels of the longer side at most
LINE = 16  # pixels of a line of text
ACCEPTED, REFUSED = (40, 160, 60), (210, 40, 40)


def annotate(picture: UInt8, boxes: Sequence[Box], verdict: str, accepted: bool) -> bytes:
    """Return a PNG of the picture (h, w, 3), made small, with a box around each face and a caption.

    Args:
        picture: sRGB, upright.
        boxes: the faces found, in its pixels.
        verdict: what to write below.
        accepted: green boxes, else red ones.
    """
    from PIL import Image, ImageDraw

    colour = ACCEPTED if accepted else REFUSED
    small = Image.fromarray(picture)
    small.thumbnail((WIDTH, WIDTH))
    scale = small.width / picture.shape[1]
    lines = _wrapped(verdict, small.width // 7)
    sheet = Image.new("RGB", (small.width, small.height + LINE * len(lines) + 8), "white")
    sheet.paste(small)
    draw = ImageDraw.Draw(sheet)
    for box in boxes:
        left, top = scale * box.left, scale * box.top
        draw.rectangle((left, top, scale * box.right, scale * box.bottom), None, colour, 3)
        draw.text((left + 5, top + 4), f"{box.score:.2f}", fill=colour)
    for number, line in enumerate(lines):
        draw.text((6, small.height + 4 + LINE * number), line, fill=(0, 0, 0))
    return to_png(np.asarray(sheet, np.uint8))


def _wrapped(text: str, columns: int) -> list[str]:
    import textwrap

    # Pillow's built-in font has Latin letters only
    plain = text.encode("latin-1", "replace").decode("latin-1")
    return textwrap.wrap(plain, max(columns, 12)) or [""]
