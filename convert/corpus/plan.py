"""What a corpus folder is made of: which bundle, which items, and how they are cut into shards.

::

    FOLDER/
      plan.json           this module's `Plan`: the folder takes no other bundle or item list
      items.jsonl         one line an item, in the order of the rows of the shards
      shard_000000.npz    ids, embeddings and failures of the first `shard_items` items, ...
      failures.csv        id and reason of every item that could not be embedded
      index.json          counts and hashes; there when every shard is
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from edge.bundle import Bundle
from edge.errors import BundleError, ConfigError, StorageError
from edge.schema import read_dataclass
from edge.storage import write_private

FORMAT = 1
PLAN_NAME = "plan.json"
SHARDS = 64  # unless their size is given: enough for the cores of a machine and more
SMALLEST_DEFAULT, LARGEST_DEFAULT = 64, 1024  # items; the latter is a minute of one core
LARGEST_SHARD = 65_536  # items, which one process holds the embeddings of
Reading = Literal["device", "published"]  # see `embedding.Embedder`
MODELS = ("voice_encoder", "face_encoder", "face_detector")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that the bytes of the shards depend on, besides the files themselves."""

    format: int
    space_id: str
    dim: int
    made_with: Mapping[str, str]  # part of the bundle → SHA-256
    reading: Reading
    items: int
    items_sha256: str  # of items.jsonl
    shard_items: int  # in every shard but the last

    @property
    def shards(self) -> int:
        """Return how many shards there are."""
        return -(-self.items // self.shard_items)

    def rows(self, shard: int) -> range:
        """Return the positions of a shard's items among all."""
        first = shard * self.shard_items
        return range(first, min(first + self.shard_items, self.items))

    def digest(self) -> str:
        """Return what every shard of this plan carries: 64 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def default_shard(items: int) -> int:
    """Return how many of so many items a shard holds when nobody says."""
    return min(max(-(-items // SHARDS), SMALLEST_DEFAULT), LARGEST_DEFAULT)


def shard_name(shard: int) -> str:
    """Return the file name of a shard."""
    return f"shard_{shard:06d}.npz"


def parts_of(bundle: Bundle) -> dict[str, str]:
    """Return the SHA-256 of every part of a bundle that an embedding depends on."""
    manifest = bundle.manifest
    parts = {
        name: manifest.models[name].files["cpu"].sha256
        for name in MODELS
        if name in manifest.models
    }
    parts["frontend"] = manifest.frontend.fingerprint
    if "face_pose" in manifest.files:
        parts["face_pose"] = manifest.files["face_pose"].sha256
    return parts


def read_plan(folder: Path) -> Plan | None:
    """Return the plan of a corpus folder, None if it has none yet.

    Raises:
        StorageError: it is damaged, or of a later format.
    """
    path = folder / PLAN_NAME
    try:
        plan = read_dataclass(Plan, json.loads(path.read_text("utf-8")), ValueError)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise StorageError(f"{path}: cannot be read ({exc.strerror}); check its rights") from exc
    except ValueError as exc:
        raise StorageError(f"{path}: damaged ({exc}); remove the folder {folder}") from exc
    if plan.format != FORMAT:
        raise StorageError(f"{path}: has format {plan.format}, this earsight reads {FORMAT}")
    return plan


def write_plan(folder: Path, plan: Plan) -> None:
    """Write the plan of a corpus folder.

    Raises:
        StorageError: the disk refuses.
    """
    write_private(folder / PLAN_NAME, (json.dumps(asdict(plan), indent=2) + "\n").encode())


def check_same(folder: Path, had: Plan, wanted: Plan) -> None:
    """Refuse to mix two corpora in one folder.

    Raises:
        BundleError: the folder was made with another bundle.
        StorageError: it holds other items.
        ConfigError: its files were read otherwise, or its shards have another size.
    """
    instead = "give another --out, or remove it first"
    if (had.space_id, dict(had.made_with)) != (wanted.space_id, dict(wanted.made_with)):
        raise BundleError(
            f"{folder}: was made with another bundle (space '{had.space_id}', this one's is "
            f"'{wanted.space_id}'); {instead}"
        )
    if had.items_sha256 != wanted.items_sha256:
        raise StorageError(
            f"{folder}: holds {had.items} other items than the {wanted.items} of this list; "
            f"{instead}"
        )
    if had.reading != wanted.reading:
        raise ConfigError(f"{folder}: was made with --reading {had.reading}; {instead}")
    if had.shard_items != wanted.shard_items:
        raise ConfigError(
            f"{folder}: has shards of {had.shard_items} items; leave --shard out to go on with it"
        )
