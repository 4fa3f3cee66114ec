"""AVSpeech: segments of videos in which one visible person speaks (Ephrat et al. 2018).

Its CSV has no header: YouTube id, start and end in seconds, and where the middle of the face is at
the start, as fractions of the picture. Nobody is named, so a segment counts as a person of its own.
What was downloaded of it lies at `ID_START_END.wav`, the numbers as the CSV writes them; pictures
of the face beside it, `ID_START_END.jpg`, or several in a folder `ID_START_END`.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.errors import InputError

from .item import FACES, VOICES, Item, files_below, kind_of

COLUMNS = "YouTube id, start, end, x, y"
YOUTUBE = re.compile(r"[A-Za-z0-9_-]{11}")


@dataclass(frozen=True, slots=True)
class Segment:
    """One line of the CSV."""

    youtube: str  # id of the video
    start: float  # s
    end: float  # s
    x: float  # middle of the face at the start, 0..1 from the left
    y: float  # the same, 0..1 from the top
    name: str  # ID_START_END, of its files


def read_segments(path: Path) -> Iterator[Segment]:
    """Yield the segments of a CSV, one line at a time.

    Raises:
        InputError: a line is not such a segment; names it.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.reader(file, strict=True), 1):
                if row:
                    yield _segment(row, f"{path}:{number}")
    except FileNotFoundError as exc:
        raise InputError(f"{path}: no such file; check the name") from exc
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise InputError(f"{path}: not a table that can be read ({exc})") from exc


def segment_items(segments: Iterable[Segment], root: Path) -> Iterator[Item]:
    """Yield the voice and the faces of every segment of which both were downloaded to `root`."""
    for segment in segments:
        voices = [p for s in VOICES if (p := root / f"{segment.name}{s}").is_file()]
        faces = [p for s in FACES if (p := root / f"{segment.name}{s}").is_file()]
        faces += [p for p in files_below(root / segment.name) if kind_of(p.name) == "face"]
        if voices and faces:
            yield Item(voices[0].name, voices[0], "voice", segment.name)
            for path in faces:
                yield Item(path.relative_to(root).as_posix(), path, "face", segment.name)


def _segment(row: list[str], where: str) -> Segment:
    if len(row) != 5:
        raise InputError(f"{where}: has {len(row)} columns, must be {COLUMNS}")
    if not YOUTUBE.fullmatch(row[0]):
        raise InputError(f"{where}: '{row[0][:40]}' is no YouTube id of eleven characters")
    try:
        start, end, x, y = (float(text) for text in row[1:])
    except ValueError as exc:
        raise InputError(f"{where}: {exc}; must be {COLUMNS}") from exc
    if not (0 <= start < end < math.inf and 0 <= x <= 1 and 0 <= y <= 1):
        raise InputError(f"{where}: needs 0 <= start < end and x, y within 0..1")
    return Segment(row[0], start, end, x, y, f"{row[0]}_{row[1]}_{row[2]}")
