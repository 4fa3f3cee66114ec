"""The gallery: search, storage, and every file it must refuse."""

from __future__ import annotations

import dataclasses
import io
import json
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BundleError, ConfigError, StorageError
from edge.face.gallery import Gallery, load_gallery, save_gallery, user_gallery_path


def unit(*key: int, dim: int = 16) -> np.ndarray:
    vector = np.random.default_rng([9, *key]).normal(size=dim)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def people(count: int, dim: int = 16) -> Gallery:
    gallery = Gallery("space-1")
    for i in range(count):
        gallery = gallery.add(f"Person {i}", unit(i, dim=dim), f"png {i}".encode())
    return gallery


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 12), st.integers(1, 15), st.integers(0, 10**6), st.booleans())
def test_match_is_brute_force(count: int, top: int, seed: int, twins: bool) -> None:
    gallery = people(count)
    if twins and count > 1:
        twin = dataclasses.replace(gallery.people[-1], embedding=gallery.people[0].embedding)
        gallery = dataclasses.replace(gallery, people=(*gallery.people[:-1], twin))
    query = unit(77, seed)
    expected = sorted(
        ((float(np.dot(p.embedding, query)), i) for i, p in enumerate(gallery.people)),
        key=lambda pair: (-round(pair[0], 5), pair[1]),
    )[:top]
    found = gallery.match(query, top)
    assert [m.rank for m in found] == list(range(1, len(expected) + 1))
    assert [m.id for m in found] == [gallery.people[i].id for _, i in expected]
    assert [m.score for m in found] == pytest.approx([s for s, _ in expected], abs=1e-5)


def test_round_trip_is_private_and_deterministic(tmp_path: Path) -> None:
    path = tmp_path / "new" / "people.gallery"
    gallery = people(3)
    save_gallery(path, gallery)
    first = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    loaded = load_gallery(path, "space-1")
    assert [(p.id, p.name, p.thumbnail) for p in loaded.people] == [
        (p.id, p.name, p.thumbnail) for p in gallery.people
    ]
    for before, after in zip(gallery.people, loaded.people, strict=True):
        np.testing.assert_array_equal(before.embedding, after.embedding)
    save_gallery(path, loaded)
    assert path.read_bytes() == first
    assert [p.name for p in path.parent.iterdir()] == ["people.gallery"]


def test_an_empty_gallery_is_a_gallery(tmp_path: Path) -> None:
    save_gallery(tmp_path / "g", Gallery("space-1"))
    assert load_gallery(tmp_path / "g").people == ()
    assert Gallery("space-1").match(unit(0), 5) == ()


def test_ids_are_never_reused_while_later_ones_live() -> None:
    gallery = people(3).remove("u0002")
    assert [p.id for p in gallery.add("New", unit(5), b"").people] == ["u0001", "u0003", "u0004"]


def test_remove_by_name_or_id() -> None:
    assert [p.name for p in people(2).remove("Person 0").people] == ["Person 1"]
    with pytest.raises(ConfigError, match="nobody"):
        people(2).remove("Person 7")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x1b[31m", "x" * 81, "Person 0"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        people(1).add(name, unit(5), b"")


@pytest.mark.parametrize("vector", [np.zeros(16), np.full(16, np.nan), unit(1) * 2, unit(1, dim=8)])
def test_embeddings_that_are_refused(vector: np.ndarray) -> None:
    with pytest.raises(ConfigError):
        people(1).add("New", vector, b"")


def test_another_space_is_refused_with_both_names(tmp_path: Path) -> None:
    save_gallery(tmp_path / "g", people(1))
    with pytest.raises(BundleError, match=r"'space-1'.*'space-2'"):
        load_gallery(tmp_path / "g", "space-2")


def test_another_format_is_refused(tmp_path: Path) -> None:
    rewrite(tmp_path / "g", format=2)
    with pytest.raises(BundleError, match="format is 2, this earsight reads 1"):
        load_gallery(tmp_path / "g", "space-1")


def rewrite(path: Path, arrays: dict[str, np.ndarray] | None = None, **header: object) -> None:
    """Save two people with some of the file's contents replaced."""
    save_gallery(path, people(2))
    with np.load(path) as loaded:
        contents = dict(loaded)
    old = json.loads(contents["header"].tobytes())
    contents["header"] = np.frombuffer(json.dumps({**old, **header}).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **{**contents, **(arrays or {})})
    path.write_bytes(buffer.getvalue())


@pytest.mark.parametrize(
    "arrays",
    [
        {"embeddings": np.zeros((2, 16), np.float32)},
        {"embeddings": np.full((2, 16), np.nan, np.float32)},
        {"embeddings": np.zeros((3, 16), np.float32)},
        {"embeddings": np.zeros((2, 16))},
        {"embeddings": np.zeros(2, np.float32)},
        {"embeddings": np.array([None, {}], object)},  # a pickle
        {"ends": np.zeros(1, np.int64)},
        {"header": np.frombuffer(b"[]", np.uint8)},
        {"header": np.frombuffer(b"{", np.uint8)},
        {"header": np.frombuffer(b"\xff\xfe", np.uint8)},
    ],
)
def test_damaged_contents_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    rewrite(tmp_path / "g", arrays)
    with pytest.raises(StorageError, match="not a gallery, or damaged"):
        load_gallery(tmp_path / "g", "space-1")


@pytest.mark.parametrize(
    "entries",
    [
        [{"id": "a", "name": "A"}],
        [{"id": "a", "name": "A"}, {"id": "a", "name": "B"}],
        [{"id": "a", "name": "A"}, {"id": "b", "name": "\x1b[2J"}],
        [{"id": "a"}, {"id": "b"}],
        [{"id": 1, "name": 2}] * 2,
        "ab",
        7,
    ],
)
def test_damaged_people_are_refused(tmp_path: Path, entries: object) -> None:
    rewrite(tmp_path / "g", people=entries)
    with pytest.raises(StorageError, match="not a gallery, or damaged"):
        load_gallery(tmp_path / "g", "space-1")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "g"
    save_gallery(path, people(2))
    content = path.read_bytes()
    damaged = [b"", b"hello", content[:-30], content[: len(content) // 2], bytes(len(content))]
    first = content.index(people(2).people[0].embedding.tobytes())
    for position in (first, first + 100, content.index(b"png 1"), content.index(b"u0002")):
        damaged.append(content[:position] + b"\xaa\xaa" + content[position + 2 :])
    for broken in damaged:
        path.write_bytes(broken)
        with pytest.raises((StorageError, BundleError)):
            load_gallery(path, "space-1")
    with pytest.raises(StorageError, match="cannot be read"):
        load_gallery(tmp_path / "nope", "space-1")
    with pytest.raises(StorageError, match="cannot be read"):
        load_gallery(tmp_path, "space-1")


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "g", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("embeddings.npy", bytes(10_000_000))
    with pytest.raises(StorageError, match="not a gallery"):
        load_gallery(tmp_path / "g", "space-1")


def test_the_users_gallery_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert user_gallery_path() == tmp_path / "earsight" / "people.gallery"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_gallery_path() == tmp_path / ".local/share/earsight/people.gallery"
