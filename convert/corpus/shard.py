"""One shard of a corpus as a file: whole or not there, and its damage does not go unseen."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.errors import StorageError
from edge.types import Float32

from ..datasets.item import Item


@dataclass(frozen=True, slots=True)
class Shard:
    """What became of some items, in the order of the list."""

    ids: tuple[str, ...]
    embeddings: Float32  # (n, d), unit length; a row of NaN where the item failed
    failures: Mapping[int, str]  # row → why
    runtime: str  # interpreter and version that ran the models


def pack_shard(shard: Shard, plan_digest: str) -> bytes:
    """Return an uncompressed NPZ; the same shard always gives the same bytes.

    Arrays: `ids` str (n,), `embeddings` float32 (n, d), `failed` int64 (f,) rows, rising, `reasons`
    str (f,), `runtime` and `plan` str ().
    """
    failed = sorted(shard.failures)
    buffer = io.BytesIO()
    np.savez(
        buffer,
        ids=np.array(shard.ids, np.str_),
        embeddings=shard.embeddings,
        failed=np.array(failed, np.int64),
        reasons=np.array([shard.failures[row] for row in failed], np.str_),
        runtime=np.array(shard.runtime),
        plan=np.array(plan_digest),
    )
    return buffer.getvalue()


def unpack_shard(content: bytes, name: str, plan_digest: str) -> Shard:
    """Return the shard in a file.

    Args:
        content: of the file.
        name: what the message calls it.
        plan_digest: of the plan it must belong to.

    Raises:
        StorageError: it is damaged (an NPZ has a CRC-32 of every array), or of another plan.
    """
    try:
        with np.load(io.BytesIO(content)) as file:
            arrays = {key: file[key] for key in file.files}
        embeddings = arrays["embeddings"]
        failures = zip(arrays["failed"].tolist(), arrays["reasons"].tolist(), strict=True)
        shard = Shard(
            tuple(arrays["ids"].tolist()), embeddings, dict(failures), str(arrays["runtime"])
        )
        if str(arrays["plan"]) != plan_digest:
            raise ValueError("it belongs to another corpus")
        lost = np.flatnonzero(np.isnan(embeddings[:, 0])).tolist()
        if embeddings.dtype != np.float32 or len(embeddings) != len(shard.ids):
            raise ValueError("its arrays do not fit together")
        if lost != sorted(shard.failures):
            raise ValueError("its failures are not those of its embeddings")
    except Exception as exc:  # on damaged bytes zipfile and NumPy raise anything
        told = " ".join(str(exc).split())
        raise StorageError(f"{name}: damaged ({told}); run the same `embed` command again") from exc
    return shard


def read_shard(path: Path, plan_digest: str, items: Sequence[Item]) -> tuple[Shard, bytes]:
    """Return a shard that must hold these items, and the bytes of its file.

    Raises:
        StorageError: it cannot be read, is damaged, or holds others.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise StorageError(f"{path}: cannot be read ({exc.strerror}); check the disk") from exc
    shard = unpack_shard(content, str(path), plan_digest)
    if shard.ids != tuple(item.id for item in items):
        raise StorageError(f"{path}: holds other items than the list")
    return shard, content
