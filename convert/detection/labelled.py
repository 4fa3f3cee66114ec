"""How many faces of labelled real photos a detector finds."""

from __future__ import annotations

import csv
from pathlib import Path

from edge.errors import InputError
from edge.face.detect import Box, FaceDetector
from edge.face.photo import decode_picture, read_file

SHARED = 0.4  # intersection over union with a labelled box from which a face is found


def measure_labelled(folder: Path | None, detector: FaceDetector) -> str:
    """Return a sentence on how many labelled faces are found; None: there were no photos.

    Args:
        folder: of photos, with `labels.csv`: a line file,left,top,right,bottom for each face.
        detector: to measure.

    Raises:
        InputError: the labels or a photo cannot be read.
    """
    if folder is None:
        return "No labelled real photos were given (`--labelled FOLDER`)."
    try:
        with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
            rows = [_label(row) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(
            f"{folder}/labels.csv: lines of file,left,top,right,bottom are needed ({exc})"
        ) from exc
    found = 0
    for name in dict.fromkeys(name for name, _ in rows):
        boxes = detector.detect(decode_picture(read_file(folder / name), name))
        for other, box in rows:
            found += other == name and any(seen.overlap(box) >= SHARED for seen in boxes)
    return (
        f"Labelled real photos: {found} of {len(rows)} faces found "
        f"({100 * found / max(1, len(rows)):.1f} %)."
    )


def _label(row: dict[str, str]) -> tuple[str, Box]:
    left, top, right, bottom = (float(row[key]) for key in ("left", "top", "right", "bottom"))
    return row["file"], Box(left, top, right, bottom, 1.0)
