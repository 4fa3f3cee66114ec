"""One picture of one sighting: portrait, voice, what was heard in it, nearest people."""

from __future__ import annotations

import contextlib
import io
import math
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import StorageError
from ..face.decoder import CAPTION, HONESTY
from ..face.gallery import Gallery
from ..types import AGE_RANGE, Float32, Match, Portrait, Sighting, Traits, UInt8

if TYPE_CHECKING:
    from PIL import Image, ImageFont

    Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

WIDTH, HEIGHT = 1100, 700  # pixels
SCALE = 2  # drawn this much larger, then reduced: smooth corners and text
RANGE_DB = 65.0  # of the spectrogram, below its loudest cell
FACES = 5
SYSTEM_FONTS = ("NotoSans-Regular.ttf", "DejaVuSans.ttf", "FreeSans.ttf")
LARGEST_THUMBNAIL = 1024  # pixels a side
F0_RANGE_HZ = (70.0, 400.0)  # from a low man to a high child
TRACT_RANGE_CM = (9.5, 20.5)

PAPER, CARD, EDGE = "#f4f1ec", "#ffffff", "#e6e1d8"
INK, SOFT, TRACK, ACCENT = "#22242b", "#6f7380", "#ece8e1", "#3d6b8e"
# dark to light in equal steps of lightness, so that louder always looks louder
_COLOURS = ("#12142b", "#2c2a63", "#5b3a86", "#93468a", "#c95a78", "#ec825f", "#f8b96a", "#fdf0b8")


@dataclass(frozen=True, slots=True)
class _Box:
    """A rectangle in sheet pixels."""

    left: int
    top: int
    width: int
    height: int

    def corners(self) -> tuple[int, int, int, int]:
        """Return left, top, right, bottom at drawing scale."""
        right, bottom = self.left + self.width, self.top + self.height
        return self.left * SCALE, self.top * SCALE, right * SCALE, bottom * SCALE


_PORTRAIT = _Box(32, 96, 400, 572)
_VOICE = _Box(448, 96, 620, 204)
_TRAITS = _Box(448, 316, 620, 136)
_PEOPLE = _Box(448, 468, 620, 200)


def draw_sheet(sighting: Sighting, gallery: Gallery, energies: Float32) -> Image.Image:
    """Draw the sheet, 1100 x 700 RGB.

    Args:
        sighting: what to show.
        gallery: holds the thumbnails of the matched people.
        energies: (frames, mels) mel energies of the utterance, linear, lowest band first.
    """
    sheet = _Canvas()
    start, end = sighting.utterance.start_s, sighting.utterance.end_s
    sheet.text(32, 26, "What this voice says about a face", 28, INK)
    source = Path(sighting.utterance.source).name
    sheet.text(32, 62, f"{source}   {start:.1f} to {end:.1f} s", 15, SOFT, 1036)
    _draw_portrait(sheet, sighting.portrait)
    _draw_voice(sheet, energies, end - start)
    _draw_traits(sheet, sighting.voice.traits)
    _draw_people(sheet, sighting.matches[:FACES], gallery)
    return sheet.finished()


class _Canvas:
    """Text, cards, bars and pictures placed in sheet pixels."""

    def __init__(self) -> None:
        from PIL import Image, ImageDraw

        self._image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def finished(self) -> Image.Image:
        from PIL import Image

        return self._image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)

    def card(self, box: _Box, title: str) -> None:
        self._draw.rounded_rectangle(box.corners(), 14 * SCALE, CARD, EDGE, SCALE)
        self.text(box.left + 20, box.top + 14, title, 14, SOFT)

    def text(
        self,
        x: int,
        y: int,
        text: str,
        size: int,
        colour: str,
        room: int = WIDTH,
        anchor: str = "l",
    ) -> None:
        """Write one line, shortened with an ellipsis to the room there is; y is the top."""
        from PIL import ImageFont

        font: Font = ImageFont.load_default(size * SCALE)
        if not text.isascii():
            font, text = _font_beyond_ascii(font, size * SCALE, text)
        shown = text = "".join(c if c.isprintable() else " " for c in text)
        while text and self._draw.textlength(shown, font) > room * SCALE:
            text = text[:-1]
            shown = text.rstrip() + "..."
        self._draw.text((x * SCALE, y * SCALE), shown, colour, font, anchor=f"{anchor}a")

    def bar(self, box: _Box, share: float) -> None:
        """Draw a bar filled to a share of 0..1."""
        radius = box.height * SCALE / 2
        self._draw.rounded_rectangle(box.corners(), radius, TRACK)
        filled = max(box.height, round(box.width * min(max(share, 0.0), 1.0)))
        inner = _Box(box.left, box.top, filled, box.height)
        self._draw.rounded_rectangle(inner.corners(), radius, ACCENT)

    def picture(self, box: _Box, image: Image.Image, radius: int) -> None:
        """Place a picture with rounded corners."""
        from PIL import Image, ImageDraw

        left, top, right, bottom = box.corners()
        size = right - left, bottom - top
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).rounded_rectangle((0, 0, size[0], size[1]), radius * SCALE, 255)
        self._image.paste(image.resize(size, Image.Resampling.BICUBIC), (left, top), mask)


def _font_beyond_ascii(default: Font, size: int, text: str) -> tuple[Font, str]:
    """Return a font of the system for the text; without one, the default and plain letters.

    Pillow's own font has ASCII only and draws a box for everything else.
    """
    from PIL import ImageFont

    for name in SYSTEM_FONTS:
        with contextlib.suppress(OSError):
            return ImageFont.truetype(name, size), text
    letters = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in letters if not unicodedata.combining(c))
    return default, plain.encode("ascii", "replace").decode()


def _draw_portrait(sheet: _Canvas, portrait: Portrait | None) -> None:
    from PIL import Image

    sheet.card(_PORTRAIT, "A typical face for this voice")
    left, top = _PORTRAIT.left + 20, _PORTRAIT.top + 48
    if portrait is None:
        sheet.text(left, top, "This bundle draws no portraits.", 15, INK)
        return
    side = _PORTRAIT.width - 40
    sheet.picture(_Box(left, top, side, side), Image.fromarray(portrait.pixels), 10)
    sheet.text(left, top + side + 26, CAPTION[0].upper() + CAPTION[1:], 22, INK)
    for row, line in enumerate(HONESTY.split("; ")):
        sheet.text(left, top + side + 66 + 26 * row, line[0].upper() + line[1:], 15, SOFT, side)


def _draw_voice(sheet: _Canvas, energies: Float32, seconds: float) -> None:
    from PIL import Image

    sheet.card(_VOICE, "The voice")
    box = _Box(_VOICE.left + 58, _VOICE.top + 44, _VOICE.width - 78, 120)
    sheet.picture(box, Image.fromarray(spectrogram_colours(energies)), 6)
    sheet.text(box.left - 10, box.top + 2, "7.6 kHz", 11, SOFT, anchor="r")
    sheet.text(box.left - 10, box.top + box.height - 14, "60 Hz", 11, SOFT, anchor="r")
    for tick in time_ticks(seconds):
        x = box.left + round(box.width * tick / seconds)
        sheet.text(x, box.top + box.height + 7, f"{tick:g} s", 11, SOFT, anchor="m")


def _draw_traits(sheet: _Canvas, traits: Traits | None) -> None:
    sheet.card(_TRAITS, "Heard in it")
    if traits is None:
        sheet.text(_TRAITS.left + 20, _TRAITS.top + 46, "This bundle estimates no traits.", 15, INK)
        return
    rows = [
        ("Female", f"{traits.female:.0%}", traits.female),
        ("Child", f"{traits.child:.0%}", traits.child),
        ("Pitch", f"{traits.f0_hz:.0f} Hz", _share(traits.f0_hz, *F0_RANGE_HZ)),
        (
            "Vocal tract",
            f"{traits.vocal_tract_cm:.1f} cm",
            _share(traits.vocal_tract_cm, *TRACT_RANGE_CM),
        ),
    ]
    if traits.age_years is not None and traits.age_interval is not None:
        low, high = traits.age_interval
        name = f"Age, {low:.0f} to {high:.0f}"
        rows.append((name, f"{traits.age_years:.0f} y", _share(traits.age_years, *AGE_RANGE)))
    width = (_TRAITS.width - 40 - (len(rows) - 1) * 24) // len(rows)
    for column, (name, value, share) in enumerate(rows):
        left, top = _TRAITS.left + 20 + column * (width + 24), _TRAITS.top + 46
        sheet.text(left, top, value, 24, INK)
        sheet.bar(_Box(left, top + 36, width, 8), share)
        sheet.text(left, top + 54, name, 13, SOFT)


def _draw_people(sheet: _Canvas, matches: tuple[Match, ...], gallery: Gallery) -> None:
    sheet.card(_PEOPLE, "Nearest faces of the gallery")
    if not matches:
        sheet.text(_PEOPLE.left + 20, _PEOPLE.top + 48, "Nobody is enrolled.", 15, INK)
    width = 100
    gap = (_PEOPLE.width - 40 - FACES * width) // (FACES - 1)
    for column, match in enumerate(matches):
        left, top = _PEOPLE.left + 20 + column * (width + gap), _PEOPLE.top + 44
        png = gallery.thumbnail(match.id)
        sheet.picture(_Box(left, top, width, width), _thumbnail(png, match), 8)
        if not png:  # known by voice only, or removed meanwhile
            sheet.text(left + width // 2, top + 42, "no picture", 12, SOFT, anchor="m")
        sheet.text(left, top + 106, match.name, 12, INK, width + gap - 6)
        sheet.text(left + width, top + 127, f"{match.score:.2f}", 12, SOFT, anchor="r")
        sheet.bar(_Box(left, top + 132, width - 36, 6), match.score)


def _thumbnail(png: bytes, match: Match) -> Image.Image:
    from PIL import Image

    if not png:
        return Image.new("RGB", (1, 1), TRACK)
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as face:
            if max(face.size) > LARGEST_THUMBNAIL:
                raise ValueError("too large")
            return face.convert("RGB")
    except Exception as exc:  # a decoder raises anything on damaged bytes
        raise StorageError(
            f"the gallery's picture of '{match.name}' is damaged; remove and enroll them again"
        ) from exc


def spectrogram_colours(energies: Float32) -> UInt8:
    """Return (mels, frames, 3) sRGB: time to the right, high bands on top, loud is light."""
    level = 10.0 * np.log10(np.maximum(energies.T[::-1], 1e-12))
    share = np.clip(1.0 + (level - level.max(initial=-120.0)) / RANGE_DB, 0.0, 1.0)
    stops = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in _COLOURS])
    position = np.linspace(0.0, 1.0, len(stops))
    channels = [np.interp(share, position, stops[:, channel]) for channel in range(3)]
    return np.asarray(np.rint(np.stack(channels, axis=-1)), np.uint8)


def time_ticks(seconds: float) -> list[float]:
    """Return four to eight round times from 0 to the end of an utterance."""
    step = next(s for s in (0.2, 0.5, 1.0, 2.0, 5.0) if seconds / s <= 8 or s == 5.0)
    return [round(i * step, 1) for i in range(int(seconds / step) + 1)]


def _share(value: float, low: float, high: float) -> float:
    """Return where a value lies between two others, on a logarithmic scale as ears have it."""
    return math.log(value / low) / math.log(high / low)
