"""The gallery: ranking, and the published file with everything that is refused of it."""

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
from edge.face.gallery import Gallery, Rows, Scale, user_gallery_path
from edge.face.gallery_file import load_gallery, save_gallery
from edge.people.flat_index import FlatIndex


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
        gallery = Gallery(gallery.space_id, (*gallery.people[:-1], twin))
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


def test_a_person_counts_by_the_better_of_photos_and_voice() -> None:
    base = people(3)
    vectors = [unit(i) for i in (10, 11)]
    voices = Rows("voice", FlatIndex(np.stack(vectors)), np.array([1, 2]))
    gallery = dataclasses.replace(base, rows=(*base.rows, voices))
    assert (gallery.count("photo"), gallery.count("voice")) == (3, 2)
    found = gallery.match(vectors[1], 3)
    assert sorted(match.name for match in found) == ["Person 0", "Person 1", "Person 2"]
    assert (found[0].name, found[0].kind) == ("Person 2", "voice")
    assert gallery.match(unit(2), 1)[0].kind == "photo"


def test_scores_of_two_kinds_are_compared_on_their_scales() -> None:
    query, other = unit(0), unit(1)
    near = (query + 0.9 * other) / np.linalg.norm(query + 0.9 * other)
    photos = Rows("photo", FlatIndex(near[None].astype(np.float32)), np.array([0]))
    voices = Rows("voice", FlatIndex(query[None]), np.array([1]))
    gallery = dataclasses.replace(people(2), rows=(photos, voices))
    assert [match.name for match in gallery.match(query, 2)] == ["Person 1", "Person 0"]
    scales = {"photo": Scale((-1.0, 0.4, 1.0), (0.0, 4.0, 5.0)), "voice": Scale((-1, 1), (0, 2))}
    ranked = gallery.match(query, 2, scales)
    assert [match.name for match in ranked] == ["Person 0", "Person 1"]
    assert ranked[1].score == pytest.approx(1.0)  # the score stays the cosine


def test_ids_of_a_published_gallery_follow_each_other() -> None:
    gallery = people(2).add("Third", unit(5), b"", id="p7").add("Fourth", unit(6), b"")
    assert [p.id for p in gallery.people] == ["u0001", "u0002", "p7", "u0003"]
    assert gallery.thumbnail("u0002") == b"png 1"
    assert gallery.thumbnail("u0009") == b""


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
