"""The list files published with Seeking the Shape of Sound, read as they are (section 9).

| file | a line |
| --- | --- |
| `match_[g_]{v2f,f2v}_N_SPLIT.txt` | anchor, the right one, N - 1 wrong ones |
| `verify_[g_]{v2f,f2v}_SPLIT.txt` | anchor, candidate: the same person or not |
| `reterival_{v2f,f2v}_SPLIT.txt` | two lines: all queries, all of the gallery |

`g_` lists take wrong ones of the anchor's gender, `reterival` is their spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.errors import InputError

from ..datasets.item import Kind, kind_of

Task = Literal["match", "verify", "retrieve"]
Direction = Literal["v2f", "f2v"]
Stratum = Literal["U", "G"]  # anybody, or the anchor's gender only

LONGEST_LINE = 2**16  # bytes, of lists with a line for each question
LONGEST_HALF = 2**27  # bytes, of the two lines of a retrieval list
_NAME = re.compile(
    r"(?P<task>match|verify|reterival|retrieval)_(?P<g>g_)?(?P<direction>v2f|f2v)"
    r"(?:_(?P<of>\d+))?_(?P<split>[a-z]+)\.txt"
)


@dataclass(frozen=True, slots=True)
class ListFile:
    """One list file and what its name says."""

    path: Path
    task: Task
    direction: Direction
    stratum: Stratum
    of: int  # N of 1:N matching, 0 for other tasks
    split: str

    @property
    def kinds(self) -> tuple[Kind, Kind]:
        """What asks and what is asked for."""
        return ("voice", "face") if self.direction == "v2f" else ("face", "voice")


def find_lists(folder: Path, split: str) -> tuple[ListFile, ...]:
    """Return the lists of a split in a folder, matching first.

    Raises:
        InputError: there is none; says which splits there are.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; check the name")
    found = [made for path in sorted(folder.glob("*.txt")) if (made := describe(path))]
    tasks: tuple[Task, ...] = ("match", "verify", "retrieve")
    chosen = sorted(
        (each for each in found if each.split == split),
        key=lambda each: (
            tasks.index(each.task),
            each.of,
            each.direction != "v2f",
            each.stratum != "U",
        ),
    )
    if not chosen:
        others = ", ".join(sorted({each.split for each in found})) or "none"
        raise InputError(
            f"{folder}: no match_*, verify_* or reterival_* list of split '{split}'; "
            f"splits there: {others}"
        )
    return tuple(chosen)


def describe(path: Path) -> ListFile | None:
    """Return what a list's name says, or None for the name of another file."""
    name = _NAME.fullmatch(path.name)
    if name is None or (name["task"] == "match") != bool(name["of"]):
        return None
    task: Task = "retrieve" if name["task"].startswith("ret") else name["task"]  # type: ignore[assignment]
    direction: Direction = "v2f" if name["direction"] == "v2f" else "f2v"
    of = int(name["of"] or 0)
    return ListFile(path, task, direction, "G" if name["g"] else "U", of, name["split"])


def rows(listed: ListFile) -> Iterator[tuple[str, ...]]:
    """Yield the lines of a matching or verification list, one at a time.

    Raises:
        InputError: a line has other columns than the list's name says; names the line.
    """
    columns = listed.of + 1 if listed.task == "match" else 2
    for number, line in _lines(listed.path, LONGEST_LINE):
        row = tuple(line.split())
        if not row:
            continue
        where = f"{listed.path}:{number}"
        if len(row) != columns:
            raise InputError(f"{where}: has {len(row)} columns, the list's name says {columns}")
        _check(row[:1], listed.kinds[0], where)
        _check(row[1:], listed.kinds[1], where)
        yield row


def halves(listed: ListFile) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the queries and the gallery of a retrieval list.

    Raises:
        InputError: it has not two such lines.
    """
    found: list[tuple[str, ...]] = []
    for number, line in _lines(listed.path, LONGEST_HALF):
        names = tuple(line.split())
        if not names:
            continue
        if len(found) == 2:
            raise InputError(f"{listed.path}:{number}: a third line; queries and gallery are two")
        _check(names, listed.kinds[len(found)], f"{listed.path}:{number}")
        found.append(names)
    if len(found) != 2:
        raise InputError(f"{listed.path}: has {len(found)} lines; queries and gallery are two")
    return found[0], found[1]


def names_of(listed: ListFile) -> Iterator[str]:
    """Yield every name in a list, as often as it is there."""
    if listed.task == "retrieve":
        for half in halves(listed):
            yield from half
    else:
        for row in rows(listed):
            yield from row


def _check(names: tuple[str, ...], kind: Kind, where: str) -> None:
    for name in names:
        if kind_of(name) != kind or len(name.split("/")) < 2 or ".." in name or name[0] == "/":
            raise InputError(f"{where}: '{name[:80]}' is not PERSON/... of a {kind}")


def _lines(path: Path, longest: int) -> Iterator[tuple[int, str]]:
    """Yield line numbers and lines; no line is held that is longer than a list's can be."""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(longest):
                number += 1
                if len(line) == longest and not line.endswith(b"\n"):
                    raise InputError(f"{path}:{number}: a line of more than {longest} bytes")
                try:
                    yield number, line.decode()
                except UnicodeDecodeError as exc:
                    raise InputError(f"{path}:{number}: not text in UTF-8") from exc
    except FileNotFoundError as exc:
        raise InputError(f"{path}: no such file; check the name") from exc
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror}); check its rights") from exc
