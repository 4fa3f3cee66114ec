"""Search in Qdrant, for more people than one machine's memory holds.

Qdrant (https://qdrant.tech) spreads a collection over many machines. Only embeddings and row
numbers go there, no names, no pictures. A path in place of an address runs it inside this process,
which is for trying and for tests. What it is asked for is exact; scores of equal rows are equal as
far as the engine's are.

Collections are named after the store and its generation: a changed store is sent anew, and its
older collections are removed.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import ConfigError, EarsightError, RuntimeUnavailable, StorageError
from ..types import Float32
from .flat_index import Rows as RowNumbers
from .index_files import Stamp
from .person import Kind

PREFIX = "qdrant:"
_BATCH = 1000  # rows sent at once: half a megabyte at 128 dimensions
_TIMEOUT_S = 10


class QdrantIndex:
    """One kind of samples of one state of a store. Safe to search from any thread."""

    def __init__(self, client: Any, collection: str, rows: int) -> None:
        """Take over a filled collection; use `Qdrant.index`."""
        self._client, self._collection, self._rows = client, collection, rows

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    def nearest(self, query: Float32, top: int) -> tuple[RowNumbers, Float32]:
        """Return the rows of the `top` highest cosines, best first, and those cosines.

        Raises:
            StorageError: the engine does not answer.
        """
        from qdrant_client.models import SearchParams

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # inside this process: that it is exact anyway
                points = self._client.query_points(
                    self._collection,
                    query=query,
                    limit=top,
                    search_params=SearchParams(exact=True),
                    with_payload=False,
                ).points
        except Exception as exc:  # of HTTP, gRPC and the engine itself
            raise _unavailable(exc) from exc
        rows = np.array([point.id for point in points], np.intp)
        scores = np.clip(np.array([point.score for point in points], np.float32), -1.0, 1.0)
        order = np.lexsort((rows, -scores))
        return rows[order], scores[order]


class Qdrant:
    """A connection to the engine."""

    def __init__(self, engine: str) -> None:
        """Connect.

        Args:
            engine: "qdrant:" and an address (http://HOST:6333) or the path of a folder.

        Raises:
            ConfigError: it is something else.
            RuntimeUnavailable: the client is not installed.
            StorageError: the engine does not answer.
        """
        where = engine.removeprefix(PREFIX)
        if where == engine or not where:
            raise ConfigError(f"gallery.engine: '{engine}' is not qdrant:ADDRESS or qdrant:FOLDER")
        try:
            from qdrant_client import QdrantClient
        except ImportError as exc:
            raise RuntimeUnavailable(
                "searching in Qdrant needs its client; run: pip install 'earsight[qdrant]'"
            ) from exc
        try:
            if "://" in where:
                self._client = QdrantClient(
                    url=where, timeout=_TIMEOUT_S, check_compatibility=False
                )
            else:
                self._client = QdrantClient(path=where)
        except Exception as exc:
            raise _unavailable(exc) from exc

    def index(self, stamp: Stamp, kind: Kind, rows: int, vectors: Iterable[Float32]) -> QdrantIndex:
        """Return the index of a store's rows, sending them unless the engine has all of them.

        Args:
            stamp: of the store's present state.
            kind: of the samples.
            rows: how many there are.
            vectors: (d,) unit vectors, row by row; read only when they are sent.

        Raises:
            StorageError: the engine does not answer.
        """
        try:
            return self._index(stamp, kind, rows, vectors)
        except EarsightError:
            raise
        except Exception as exc:  # of HTTP, gRPC and the engine itself
            raise _unavailable(exc) from exc

    def _index(
        self, stamp: Stamp, kind: Kind, rows: int, vectors: Iterable[Float32]
    ) -> QdrantIndex:
        from qdrant_client.models import Batch, Distance, VectorParams

        family = f"earsight-{stamp.uid}-{kind}-"
        name = f"{family}{stamp.generation}"
        existing = [entry.name for entry in self._client.get_collections().collections]
        if name in existing and self._client.count(name, exact=True).count == rows:
            return QdrantIndex(self._client, name, rows)
        for old in existing:
            if old.startswith(family):
                self._client.delete_collection(old)
        parameters = VectorParams(size=stamp.dim, distance=Distance.COSINE, on_disk=True)
        self._client.create_collection(name, vectors_config=parameters)
        numbers, rest = itertools.count(), iter(vectors)
        while block := [vector.tolist() for vector in itertools.islice(rest, _BATCH)]:
            ids: list[Any] = list(itertools.islice(numbers, len(block)))
            self._client.upsert(name, points=Batch(ids=ids, vectors=block), wait=True)
        return QdrantIndex(self._client, name, rows)


def _unavailable(exc: Exception) -> StorageError:
    text = " ".join(str(exc).split())[:200]
    return StorageError(f"gallery.engine: {text or type(exc).__name__}; check that Qdrant runs")
