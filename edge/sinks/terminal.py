"""Results as text, with the portrait in coloured half-blocks where the terminal can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TextIO

import numpy as np
import numpy.typing as npt

from ..face.decoder import CAPTION, HONESTY
from ..types import Sighting, UInt8

Colours = Literal["none", "256", "true"]
WIDEST, NARROWEST = 48, 32  # columns of a portrait
_RESET = "\x1b[0m"
_CUBE = np.array([0, 95, 135, 175, 215, 255])  # levels of xterm's colours 16..231
_GREYS = np.arange(8, 239, 10)  # levels of xterm's colours 232..255


def describe(sighting: Sighting) -> str:
    """Return a few lines of plain text about one sighting."""
    utterance, traits = sighting.utterance, sighting.voice.traits
    lines = [f"{printable(utterance.source)}  {utterance.start_s:.1f} to {utterance.end_s:.1f} s"]
    if traits is not None:
        lines.append(
            f"  voice  female {traits.female:.0%}, child {traits.child:.0%}, "
            f"pitch {traits.f0_hz:.0f} Hz, vocal tract {traits.vocal_tract_cm:.1f} cm"
        )
    if traits is not None and traits.age_years is not None and traits.age_interval is not None:
        low, high = traits.age_interval
        lines.append(f"         age about {traits.age_years:.0f} ({low:.0f} to {high:.0f})")
    width = max((len(m.name) for m in sighting.matches), default=0)
    for match in sighting.matches:
        label = "faces" if match.rank == 1 else ""
        lines.append(f"  {label:5}  {match.rank}. {match.name:{width}}  {match.score:+.2f}")
    if sighting.verdict is not None and sighting.matches:
        verdict, best = sighting.verdict, sighting.matches[0]
        who = f"{best.name}, probability {verdict.probability:.0%}" if verdict.named else "unknown"
        lines.append(f"  who    {who}: {verdict.why}")
    return "\n".join(lines)


def printable(text: str) -> str:
    """Return the text with everything that could move a cursor or break a line replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def colours_of(stream: TextIO, environment: Mapping[str, str]) -> Colours:
    """Return what may be drawn on a stream: nothing unless it is a terminal that wants colour."""
    if not stream.isatty() or environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return "none"
    if not _can_encode(stream, "▀"):
        return "none"
    return "true" if environment.get("COLORTERM") in ("truecolor", "24bit") else "256"


def _can_encode(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def draw_portrait(pixels: UInt8, colours: Literal["256", "true"], columns: int) -> str:
    """Return a portrait as text, two pixels to a character, with its caption.

    Args:
        pixels: (h, w, 3) uint8 sRGB.
        colours: what the terminal shows.
        columns: of the terminal; the portrait takes 32 to 48 of them.
    """
    from PIL import Image

    width = max(NARROWEST, min(WIDEST, columns)) // 2 * 2
    small = Image.fromarray(pixels).resize((width, width), Image.Resampling.LANCZOS)
    rows = np.asarray(small, np.int64)
    code = _true_colour if colours == "true" else _nearest_of_256
    lines = []
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        cells = [
            f"\x1b[38;{code(above)};48;{code(below)}m▀"
            for above, below in zip(upper, lower, strict=True)
        ]
        lines.append("".join(cells) + _RESET)
    return "\n".join([*lines, f"{CAPTION}:", HONESTY])


def _true_colour(pixel: npt.NDArray[np.int64]) -> str:
    red, green, blue = pixel.tolist()
    return f"2;{red};{green};{blue}"


def _nearest_of_256(pixel: npt.NDArray[np.int64]) -> str:
    """Return xterm's nearest colour, of its cube or of its grey ramp."""
    steps = np.abs(_CUBE[:, None] - pixel).argmin(axis=0)
    grey = int(np.abs(_GREYS - pixel.mean()).argmin())
    in_cube = np.square(_CUBE[steps] - pixel).sum()
    if np.square(_GREYS[grey] - pixel).sum() < in_cube:
        return f"5;{232 + grey}"
    return f"5;{16 + int(steps @ (36, 6, 1))}"
