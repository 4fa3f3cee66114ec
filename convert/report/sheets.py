"""The report's pictures of faces: contact sheets, as JPEG files in memory."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.types import UInt8

CELL, GAP, TEXT = 112, 6, 13  # pixels
QUALITY = 88
PAPER, INK = (255, 255, 255), (40, 40, 40)


@dataclass(frozen=True, slots=True)
class Column:
    """One person of a sheet, pictures from top to bottom."""

    pictures: tuple[UInt8, ...]  # (128, 128, 3) each
    caption: tuple[str, ...]  # short lines below


def contact_sheet(rows: Sequence[str], columns: Sequence[Column], wrap: int = 8) -> bytes:
    """Draw columns of pictures side by side, `wrap` to a strip, the rows' names at the left."""
    from PIL import Image, ImageDraw

    left = 8 + max(6 * len(name) for name in rows)
    lines = max(len(column.caption) for column in columns)
    strip = len(rows) * (CELL + GAP) + lines * TEXT + 2 * GAP
    strips = [columns[i : i + wrap] for i in range(0, len(columns), wrap)]
    width = left + min(wrap, len(columns)) * (CELL + GAP)
    sheet = Image.new("RGB", (width, strip * len(strips)), PAPER)
    pen = ImageDraw.Draw(sheet)
    for s, people in enumerate(strips):
        for r, name in enumerate(rows):
            top = s * strip + r * (CELL + GAP)
            pen.text((2, top + CELL // 2), name, fill=INK)
            for c, column in enumerate(people):
                picture = Image.fromarray(np.ascontiguousarray(column.pictures[r]))
                sheet.paste(picture.resize((CELL, CELL)), (left + c * (CELL + GAP), top))
        for c, column in enumerate(people):
            for k, line in enumerate(column.caption):
                place = (left + c * (CELL + GAP), s * strip + len(rows) * (CELL + GAP) + k * TEXT)
                pen.text(place, line, fill=INK)
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()
