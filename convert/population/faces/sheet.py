"""Contact sheets: many small pictures side by side, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from .geometry import UInt8


def contact_sheet(images: Sequence[UInt8], columns: int) -> Image.Image:
    """Return one picture of equal-sized (h, w, 3) uint8 images, row by row on white."""
    height, width = images[0].shape[:2]
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    for k, image in enumerate(images):
        sheet.paste(Image.fromarray(image), (k % columns * width, k // columns * height))
    return sheet
