"""VoxCeleb1 and VGGFace on disk, as published.

Voices lie at `ID/VIDEO/NUMBER.wav` (VoxCeleb1's archives unpack to `wav/id10001/...`), faces at
`NAME/NUMBER.jpg` (the aligned crops of VGGFace). Where below the given folders these trees begin is
found out: the folder that directly holds people's folders is one; there may be several, such as the
two halves `dev` and `test` of VoxCeleb1.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.errors import InputError

from .identities import Identity
from .item import Item, Kind, files_below, kind_of

DEPTH = 3  # folders below a given one that are searched for people's folders


@dataclass(frozen=True, slots=True)
class VoxCeleb:
    """Where voices and faces lie."""

    voices: tuple[Path, ...]  # folders of id10001, id10002, ...
    faces: tuple[Path, ...]  # folders of A.J._Buckley, ...

    def item(self, name: str, person: str) -> Item:
        """Return the file a list calls `name`; where it is missing, where it would be.

        Raises:
            InputError: the name is neither a voice's nor a face's, or leads out of the data set.
        """
        kind = kind_of(name)
        if kind is None or ".." in name.split("/") or name.startswith("/"):
            raise InputError(f"'{name}' is no file of VoxCeleb1 or VGGFace")
        paths = [root / name for root in self._roots(kind)]
        return Item(name, next((p for p in paths if p.is_file()), paths[0]), kind, person)

    def items(self, identity: Identity) -> Iterator[Item]:
        """Yield every voice and face of somebody that is there, in the order of their names."""
        places: tuple[tuple[Kind, str], ...] = (
            ("voice", identity.voxceleb),
            ("face", identity.vggface),
        )
        for kind, folder in places:
            for root in self._roots(kind):
                for path in files_below(root / folder):
                    if kind_of(path.name) == kind:
                        name = path.relative_to(root).as_posix()
                        yield Item(name, path, kind, identity.voxceleb)

    def _roots(self, kind: Kind) -> tuple[Path, ...]:
        return self.voices if kind == "voice" else self.faces


def find_voxceleb(data: Sequence[Path], identities: Iterable[Identity]) -> VoxCeleb:
    """Return where under some folders the voices and the faces of these people lie.

    Raises:
        InputError: no voices or no faces of any of them are there.
    """
    people = list(identities)
    voices = _holding(data, {p.voxceleb for p in people})
    faces = _holding(data, {p.vggface for p in people})
    where = ", ".join(map(str, data))
    if not voices:
        raise InputError(f"{where}: no folder of a speaker ({people[0].voxceleb}, ...) to be found")
    if not faces:
        raise InputError(f"{where}: no folder of faces ({people[0].vggface}, ...) to be found")
    return VoxCeleb(tuple(voices), tuple(faces))


def _holding(data: Sequence[Path], names: Collection[str]) -> list[Path]:
    """Return the folders that directly hold one of the names, outermost first."""
    found = []
    level = list(data)
    for _ in range(DEPTH + 1):
        deeper: list[Path] = []
        for folder in level:
            try:
                inside = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
            except OSError as exc:
                raise InputError(f"{folder}: cannot be read ({exc.strerror}); check it") from exc
            if any(name in names for name in inside):
                found.append(folder)
            else:
                deeper += [folder / name for name in inside]
        level = deeper
    return found
