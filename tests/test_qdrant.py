"""The search in Qdrant, run inside this process: the same people as the search of our own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import ConfigError, StorageError
from edge.people.opening import open_store
from edge.people.qdrant_index import Qdrant
from tests.people import SPACE, sample, unit
from tests.test_people_files import key_file

pytest.importorskip("qdrant_client", reason="the [qdrant] extra is not installed")


def test_the_same_people_as_without_it(tmp_path: Path) -> None:
    engine = f"qdrant:{tmp_path / 'engine'}"
    with open_store(tmp_path / "people.gallery", SPACE) as store:
        for i in range(30):
            store.add(f"P{i}", [sample(i), sample(i, kind="voice")], None)
        store.add("Twin", [sample(3)], None)
        own, there = store.gallery(), store.gallery(engine)
        assert (there.count("photo"), there.count("voice"), there.dim) == (31, 30, 16)
        for key in (3, 7, 100, 101):
            expected, found = own.match(unit(key), 5), there.match(unit(key), 5)
            assert [m.id for m in found] == [m.id for m in expected]
            np.testing.assert_allclose(
                [m.score for m in found], [m.score for m in expected], atol=1e-5
            )
        client = there.rows[0].index._client
        client.close()


def test_a_changed_store_is_sent_anew_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    engine = f"qdrant:{tmp_path / 'engine'}"
    with open_store(tmp_path / "people.gallery", SPACE) as store:
        store.add("Ada", [sample(1)], None)
        first = store.gallery(engine)
        first.rows[0].index._client.close()
        again = store.gallery(engine)
        assert again.match(unit(1), 1)[0].name == "Ada"
        again.rows[0].index._client.close()
        store.add("Bo", [sample(2)], None)
        changed = store.gallery(engine)
        assert changed.match(unit(2), 1)[0].name == "Bo"
        names = [c.name for c in changed.rows[0].index._client.get_collections().collections]
        assert len(names) == 1
        assert names[0].endswith("-photo-2")
        changed.rows[0].index._client.close()


def test_what_cannot_be_an_engine(tmp_path: Path) -> None:
    for engine in ("milvus:x", "qdrant:", "http://localhost:6333"):
        with pytest.raises(ConfigError, match="is not qdrant:ADDRESS"):
            Qdrant(engine)
    with open_store(tmp_path / "people.gallery", SPACE) as store:
        store.add("Ada", [sample(1)], None)
        with pytest.raises(StorageError, match="check that Qdrant runs"):
            store.gallery("qdrant:http://127.0.0.1:1")


def test_an_encrypted_gallery_stays_here(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="encryption is not installed")
    with open_store(tmp_path / "people", SPACE, key_file(tmp_path / "key")) as store:
        store.add("Ada", [sample(1)], None)
        with pytest.raises(ConfigError, match="searched on this machine only"):
            store.gallery(f"qdrant:{tmp_path / 'engine'}")
