"""Where training people come from: VoxCeleb1 with VGGFace, AVSpeech, or plain folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ConfigError

from ..datasets.avspeech import read_segments, segment_items
from ..datasets.folders import folder_items
from ..datasets.identities import Identity, person_of_folder, read_split
from ..datasets.item import Item
from ..datasets.voxceleb import VoxCeleb, find_voxceleb
from ..protocols.lists import ListFile, describe
from .people import Person, people_of
from .validation import draw_list

VALIDATION = "match_v2f_2_val.txt"  # the list the authors choose the best step by
HELD_OUT = 10  # of so many people of a plain folder one is held out


@dataclass(frozen=True, slots=True)
class Source:
    """People to train on, and how progress is measured on others."""

    people: tuple[Person, ...]
    listed: ListFile | None  # of people held out
    item_of: Callable[[str], Item]  # name in that list → file


def find_source(
    data: Sequence[Path], lists: Path | None, segments: Path | None, work: Path, seed: int
) -> Source:
    """Return the people of a data set.

    Args:
        data: folders it lies in.
        lists: folder with vox1_train.csv, for VoxCeleb1 and VGGFace as published.
        segments: AVSpeech's CSV, for its clips.
        work: where a list of people held out is written, for a plain folder.
        seed: of that list.

    Raises:
        ConfigError: arguments do not go together.
        InputError: nobody is there, or a table is damaged.
    """
    if lists is not None and segments is not None:
        raise ConfigError("--lists and --avspeech are two data sets; give one of them")
    if lists is not None:
        return _voxceleb(data, lists)
    if len(data) != 1:
        raise ConfigError("--data: give one folder, unless it is VoxCeleb1 (--lists)")
    if segments is not None:
        return Source(people_of(segment_items(read_segments(segments), data[0])), None, _nobody)
    return _folders(data[0], work / VALIDATION, seed)


def _voxceleb(data: Sequence[Path], lists: Path) -> Source:
    identities = read_split(lists / "vox1_train.csv")
    found = find_voxceleb(data, identities)
    people = people_of(_items(found, identities))
    listed = describe(lists / VALIDATION) if (lists / VALIDATION).is_file() else None
    if listed is None:
        return Source(people, None, _nobody)
    others = read_split(lists / "vox1_val.csv")
    where, owner = find_voxceleb(data, [*identities, *others]), person_of_folder(others)

    def item_of(name: str) -> Item:
        folder = name.split("/", 1)[0]
        return where.item(name, owner.get(folder, folder))

    return Source(people, listed, item_of)


def _folders(root: Path, listed: Path, seed: int) -> Source:
    people = people_of(folder_items(root))
    held = people[::HELD_OUT] if len(people) >= 2 * HELD_OUT else ()
    if not held:
        return Source(people, None, _nobody)
    draw_list(held, listed, seed)
    items = {item.id: item for person in held for item in (*person.voices, *person.faces)}
    names = {person.name for person in held}
    train = tuple(person for person in people if person.name not in names)
    return Source(train, describe(listed), items.__getitem__)


def _items(found: VoxCeleb, identities: Sequence[Identity]) -> Iterator[Item]:
    for identity in identities:
        yield from found.items(identity)


def _nobody(name: str) -> Item:
    raise KeyError(name)
