"""The store of enrolled people: what it keeps, what it refuses, what it never loses."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import sqlite3
import stat
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from edge.errors import BundleError, ConfigError, StorageError
from edge.face.gallery import Gallery
from edge.face.gallery_file import save_gallery
from edge.people import snapshot
from edge.people.consent import GRACE_DAYS, Consent
from edge.people.opening import OLD_SUFFIX, open_store, read_gallery
from edge.people.person import mean_direction
from tests.people import SPACE, sample, unit

NOW = datetime.now(UTC)


def consent(days: float, since: float = -100) -> Consent:
    return Consent("Ada", NOW + timedelta(days=since), "the front door", NOW + timedelta(days=days))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "people.gallery"


def test_what_is_enrolled_is_there_again(path: Path) -> None:
    with open_store(path, SPACE) as store:
        ada = store.add("Ada", [sample(1), sample(2, quality=0.9)], consent(10))
        bo = store.add("Bo", [sample(3, kind="voice")], None)
        assert (ada.id, ada.photos, ada.voices, ada.expired) == ("u0001", 2, 0, False)
        assert (bo.id, bo.photos, bo.voices, bo.consent) == ("u0002", 0, 1, None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with open_store(path) as store:
        assert store.people() == (ada, bo)
        assert store.find("Ada") == store.find("u0001") == ada
        for kept, given in zip(store.samples("Ada"), [sample(1), sample(2)], strict=True):
            np.testing.assert_array_equal(kept.embedding, given.embedding)
            assert (kept.crop, kept.digest) == (given.crop, given.digest)
        assert store.thumbnail("u0001") == sample(2).crop  # the better one
        assert store.thumbnail("u0002") == b""
        assert store.owner_of(sample(2).digest) == "u0001"
        assert store.owner_of(sample(7).digest) is None
        assert store.dim == 16


def test_a_sample_is_added_once(path: Path) -> None:
    with open_store(path, SPACE) as store:
        store.add("Ada", [sample(1)], None)
        assert store.add_samples("Ada", [sample(1), sample(2)]).photos == 2
        assert store.add_samples("u0001", [sample(2)]).photos == 2
        with pytest.raises(ConfigError, match="nobody called that"):
            store.add_samples("Bo", [sample(1)])


def test_ids_are_never_used_twice(path: Path) -> None:
    with open_store(path, SPACE) as store:
        for name in ("A", "B"):
            store.add(name, [sample(ord(name))], None)
        store.remove("u0002")
        assert store.add("C", [sample(5)], None).id == "u0003"
        assert store.add("D", [sample(6)], None, "u0007").id == "u0007"
        store.remove("D")
        assert store.add("E", [sample(7)], None).id == "u0008"
        assert store.add("F", [sample(8)], None, "x1").id == "x1"
        for taken in ("x1", "u0001", "E"):
            with pytest.raises(ConfigError, match="taken"):
                store.add("G", [sample(9)], None, taken)


def test_names(path: Path) -> None:
    with open_store(path, SPACE) as store:
        store.add("Ada", [sample(1)], None)
        store.add("Bo", [sample(2)], None)
        for name in ("", " ", "a\nb", "\x1b[31m", "x" * 81, "Ada", "u0001"):
            with pytest.raises(ConfigError):
                store.add(name, [sample(3)], None)
            with pytest.raises(ConfigError):
                store.rename("Bo", name)
        assert store.rename("Bo", "Bo").name == "Bo"
        assert store.rename("u0002", "Eve").name == "Eve"
        assert not store.has("Bo")
        assert len(store.people()) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"embedding": np.zeros(16, np.float32)},
        {"embedding": np.full(16, np.nan, np.float32)},
        {"embedding": unit(1) * 2},
        {"embedding": unit(1).astype(np.float64)},
        {"embedding": unit(1, dim=8)},
        {"crop": b"x" * (1 << 21)},
        {"digest": "ab"},
        {"digest": "z" * 64},
        {"quality": 1.5},
        {"kind": "smell"},
    ],
)
def test_samples_that_are_refused_leave_nothing(path: Path, change: dict[str, object]) -> None:
    with open_store(path, SPACE) as store:
        store.add("Ada", [sample(1)], None)
        with pytest.raises(ConfigError):
            store.add("Bo", [sample(2), dataclasses.replace(sample(3), **change)], None)
        with pytest.raises(ConfigError):
            store.add("Bo", [], None)
        assert [person.name for person in store.people()] == ["Ada"]


def test_the_gallery_has_a_row_for_each_kind(path: Path) -> None:
    with open_store(path, SPACE) as store:
        store.add("Ada", [sample(1), sample(2), sample(3, kind="voice")], None)
        store.add("Bo", [sample(4)], None)
        store.add("Cy", [sample(5, kind="voice")], None)
        gallery = store.gallery()
    assert (gallery.count("photo"), gallery.count("voice"), gallery.dim) == (2, 2, 16)
    assert [(p.id, p.name) for p in gallery.people] == [
        ("u0001", "Ada"),
        ("u0002", "Bo"),
        ("u0003", "Cy"),
    ]
    both = mean_direction([unit(1), unit(2)])
    best = gallery.match(both, 3)[0]
    assert (best.name, best.kind) == ("Ada", "photo")
    assert best.score == pytest.approx(1.0, abs=1e-6)
    assert [(m.name, m.kind) for m in gallery.match(unit(3), 3)][:1] == [("Ada", "voice")]
    assert sorted(m.name for m in gallery.match(unit(3), 5)) == ["Ada", "Bo", "Cy"]
    assert gallery.thumbnail("u0002") == sample(4).crop == gallery.people[1].thumbnail
    np.testing.assert_allclose(gallery.people[1].embedding, unit(4), atol=1e-6)


def test_a_gallery_stays_as_it_was_taken(path: Path) -> None:
    with open_store(path, SPACE) as store:
        store.add("Ada", [sample(1)], None)
        gallery = store.gallery()
        store.remove("Ada")
        assert store.gallery().people[:] == []
        assert gallery.match(unit(1), 1)[0].name == "Ada"
        assert gallery.thumbnail("u0001") == b""  # erased is erased


def test_expired_consent_hides_then_erases(path: Path) -> None:
    with open_store(path, SPACE) as store:
        store.add("Ada", [sample(1)], consent(-1))
        store.add("Bo", [sample(2)], consent(1))
        store.add("Cy", [sample(3)], consent(-GRACE_DAYS - 1, since=-90))
        assert [p.name for p in store.gallery().people] == ["Bo"]
        assert [p.expired for p in store.people()] == [True, False, True]
        assert store.erase_expired() == ("u0003",)
        assert [p.name for p in store.people()] == ["Ada", "Bo"]
        store.set_consent("Ada", consent(30))  # renewed in time
        assert [p.name for p in store.gallery().people] == ["Ada", "Bo"]
        assert store.set_consent("Ada", None).consent is None


def test_what_is_no_consent() -> None:
    for fault in (
        {"given_by": ""},
        {"purpose": "a\nb"},
        {"given_at": datetime(2026, 1, 1)},
        {"expires": NOW - timedelta(days=200)},
    ):
        with pytest.raises(ConfigError, match="consent"):
            dataclasses.replace(consent(1), **fault)


def test_removed_bytes_are_gone(path: Path) -> None:
    marker = b"a crop that must not stay anywhere " * 200
    with open_store(path, SPACE) as store:
        store.add("Nobody Else", [dataclasses.replace(sample(1), crop=marker)], consent(1))
        assert any(marker[:35] in file.read_bytes() for file in path.parent.iterdir())
        store.remove("Nobody Else")
        for file in path.parent.iterdir():
            assert marker[:35] not in file.read_bytes()
            assert b"Nobody Else" not in file.read_bytes()


def test_large_galleries_are_mapped_and_the_files_follow_every_change(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "MAPPED", 3)
    folder = snapshot.index_folder(path)
    with open_store(path, SPACE) as store:
        for i in range(2):
            store.add(f"P{i}", [sample(i), sample(i, kind="voice")], consent(1))
        assert not folder.exists() or store.gallery().count("photo") == 2
        for i in range(2, 5):
            store.add(f"P{i}", [sample(i)], None)
        first = store.gallery()
        assert isinstance(first.rows[0].index.vectors.base, np.memmap)
        assert {stat.S_IMODE(f.stat().st_mode) for f in folder.iterdir()} == {0o600}
        again = store.gallery()
        for gallery in (first, again):
            assert [m.name for m in gallery.match(unit(1), 1)] == ["P1"]
            assert [p.name for p in gallery.people] == [f"P{i}" for i in range(5)]
        store.rename("P1", "Eve")
        assert store.gallery().match(unit(1), 1)[0].name == "Eve"
        store.remove("Eve")
        assert not folder.exists()
        assert store.gallery().match(unit(1), 1)[0].name != "Eve"
        for file in folder.iterdir():
            file.write_bytes(file.read_bytes()[:50])
        assert [p.name for p in store.gallery().people] == ["P0", "P2", "P3", "P4"]


def test_mapped_files_end_with_the_first_consent(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "MAPPED", 1)
    with open_store(path, SPACE) as store:
        store.add("Ada", [sample(1)], consent(1))
        store.add("Bo", [sample(2)], None)
        assert [p.name for p in store.gallery().people] == ["Ada", "Bo"]
        later = time.time() + 2 * 86_400
        monkeypatch.setattr(snapshot.time, "time", lambda: later)
        assert [p.name for p in store.gallery().people] == ["Bo"]


def test_another_space_is_refused_with_both_names(path: Path) -> None:
    open_store(path, SPACE).close()
    with pytest.raises(BundleError, match=r"'space-1'.*'space-2'.*earsight people migrate"):
        open_store(path, "space-2")
    open_store(path).close()  # listing needs no space


def test_files_that_are_no_store(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no such gallery"):
        open_store(tmp_path / "none")
    with closing(sqlite3.connect(tmp_path / "other")) as other:
        other.execute("CREATE TABLE t (x)")
    with pytest.raises(StorageError, match="no gallery of earsight"):
        open_store(tmp_path / "other", SPACE)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(StorageError, match="not a gallery"):
        open_store(tmp_path / "text", SPACE)
    assert (tmp_path / "text").read_text() == "hello"
    with open_store(tmp_path / "new", SPACE) as store:
        store.connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="newer earsight"):
        open_store(tmp_path / "new", SPACE)


def test_damage_is_refused_and_nothing_is_begun_anew(path: Path) -> None:
    with open_store(path, SPACE) as store:
        for i in range(40):
            store.add(f"P{i}", [sample(i)], None)
        store.connection.execute("PRAGMA journal_mode = DELETE")
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], content[:4096] + bytes(len(content) - 4096)):
        path.write_bytes(damaged)
        with pytest.raises(StorageError, match=r"damaged|malformed"):
            open_store(path, SPACE)
        assert path.read_bytes()[:4096] == damaged[:4096]


def test_a_changed_sample_is_noticed(path: Path) -> None:
    with open_store(path, SPACE) as store:
        store.add("Ada", [sample(1)], None)
        store.connection.execute("UPDATE samples SET crop = x'00'")
        with pytest.raises(StorageError, match="a sample of u0001 is damaged"):
            store.samples("Ada")
        store.connection.execute("UPDATE samples SET embedding = zeroblob(64)")
        with pytest.raises(StorageError, match="a sample of u0001 is damaged"):
            store.gallery()


def test_an_old_gallery_becomes_a_store(path: Path) -> None:
    old = Gallery(SPACE)
    for i, name in enumerate(["Ada", "Ada's brother", "Ünal"]):
        old = old.add(name, unit(i), f"png {i}".encode(), id="u0009" if i == 1 else "")
    save_gallery(path, old)
    before = path.read_bytes()
    with open_store(path, SPACE) as store:
        assert [(p.id, p.name) for p in store.people()] == [(p.id, p.name) for p in old.people]
        for i, person in enumerate(old.people):
            assert store.thumbnail(person.id) == f"png {i}".encode()
            assert store.gallery().match(unit(i), 1)[0].id == person.id
        assert store.add("New", [sample(9)], None).id == "u0011"
    kept = path.with_name(path.name + OLD_SUFFIX)
    assert kept.read_bytes() == before
    assert stat.S_IMODE(kept.stat().st_mode) == stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(read_gallery(path, SPACE).people) == 4


def test_an_old_gallery_of_another_space_is_not_lost(path: Path) -> None:
    save_gallery(path, Gallery("space-0").add("Ada", unit(1), b"png"))
    with pytest.raises(BundleError, match="earsight people migrate"):
        open_store(path, SPACE)
    with open_store(path) as store:
        assert [p.name for p in store.people()] == ["Ada"]


def test_reading_leaves_an_old_gallery_alone(path: Path) -> None:
    save_gallery(path, Gallery(SPACE).add("Ada", unit(1), b"png"))
    before = path.read_bytes()
    assert [p.name for p in read_gallery(path, SPACE).people] == ["Ada"]
    assert path.read_bytes() == before


def _enroll_for_ever(path: Path, ready: int) -> None:
    with open_store(path, SPACE) as store:
        for i in range(100_000):
            store.add(f"P{i}", [sample(i, k) for k in range(3)], None)
            os.write(ready, b"%d\n" % i)


def test_killed_in_the_middle_everybody_announced_is_whole(path: Path) -> None:
    for _ in range(3):
        path.unlink(missing_ok=True)
        reader, writer = os.pipe()
        process = multiprocessing.get_context("fork").Process(
            target=_enroll_for_ever, args=(path, writer)
        )
        process.start()
        os.close(writer)
        with os.fdopen(reader) as lines:
            for line in lines:
                if int(line) >= 4:
                    break
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            announced = max([4, *(int(line) for line in lines if line.endswith("\n"))])
        process.join()
        with open_store(path, SPACE) as store:
            people = store.people()
            assert len(people) >= announced + 1
            assert {person.photos for person in people} == {3}
        for left in path.parent.glob("people.gallery-*"):
            left.unlink()


def test_two_processes_share_a_store(path: Path) -> None:
    with open_store(path, SPACE) as one, open_store(path, SPACE) as other:
        one.add("Ada", [sample(1)], None)
        other.add("Bo", [sample(2)], None)
        assert [p.name for p in one.people()] == ["Ada", "Bo"]
        assert len(one.gallery().people) == 2
