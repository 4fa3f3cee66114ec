"""Who is who: the identity splits published with Seeking the Shape of Sound.

`vox1_{train,val,test}.csv` join the speakers of VoxCeleb1 to the faces of VGGFace, split by the
first letter of the name: A and B validate, C to E test, F to Z train.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.errors import InputError

COLUMNS = ("VoxCeleb1_ID", "VGGFace1_ID", "Gender", "Nationality", "Set")
UNUSED = "none"  # of column Set: the authors leave these people out


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody with voices in VoxCeleb1 and faces in VGGFace."""

    voxceleb: str  # folder of the voices, id10117
    vggface: str  # folder of the faces, CCH_Pounder
    female: bool
    nationality: str


def read_split(path: Path) -> tuple[Identity, ...]:
    """Return the people of one split that the authors use; rows whose Set is `none` are not.

    Raises:
        InputError: the file is not such a table; names the line.
    """
    found: dict[str, Identity] = {}
    for number, row in _rows(path):
        if len(row) != len(COLUMNS):
            raise InputError(f"{path}:{number}: has {len(row)} columns, not {len(COLUMNS)}")
        voxceleb, vggface, gender, nationality, used = row
        if gender not in ("f", "m"):
            raise InputError(f"{path}:{number}: Gender is '{gender}', must be f or m")
        if not voxceleb or not vggface or "/" in voxceleb + vggface:
            raise InputError(f"{path}:{number}: '{voxceleb}', '{vggface}' are no folder names")
        if voxceleb in found:
            raise InputError(f"{path}:{number}: {voxceleb} is there twice")
        if used != UNUSED:
            found[voxceleb] = Identity(voxceleb, vggface, gender == "f", nationality)
    if not found:
        raise InputError(f"{path}: holds nobody")
    return tuple(found.values())


def read_splits(folder: Path) -> tuple[Identity, ...]:
    """Return the people of every `vox1_*.csv` in a folder.

    Raises:
        InputError: there is none, or one is damaged.
    """
    paths = sorted(folder.glob("vox1_*.csv"))
    if not paths:
        raise InputError(
            f"{folder}: no vox1_train.csv, vox1_val.csv or vox1_test.csv; put the published "
            "lists there"
        )
    return tuple(identity for path in paths for identity in read_split(path))


def person_of_folder(identities: Iterable[Identity]) -> dict[str, str]:
    """Return folder name of either data set → VoxCeleb1 id."""
    found = {}
    for identity in identities:
        found[identity.voxceleb] = found[identity.vggface] = identity.voxceleb
    return found


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and fields below the header."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if tuple(header) != COLUMNS:
                raise InputError(
                    f"{path}:1: the header is '{','.join(header)[:80]}', must be "
                    f"{','.join(COLUMNS)}"
                )
            for row in reader:
                if row:
                    yield reader.line_num, row
    except FileNotFoundError as exc:
        raise InputError(f"{path}: no such file; check the name") from exc
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise InputError(f"{path}: not a table that can be read ({exc})") from exc
