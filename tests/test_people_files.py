"""Encryption, archives, migration, the audit log and reviews: a store as a whole."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import stat
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from edge.errors import BundleError, ConfigError, EarsightError, StorageError
from edge.events import Embedded, Event, Stamp
from edge.face.photo import to_png
from edge.people import audit, migrate, review, sink
from edge.people.archive import export_people
from edge.people.archive_import import import_people, space_of
from edge.people.consent import Consent
from edge.people.encryption import CREDENTIAL, KeySeal, find_key
from edge.people.migrate import migrate_people
from edge.people.opening import open_store
from edge.people.person import Sample
from edge.people.reseal import reseal_people
from edge.people.sink import PeopleSink
from edge.people.store import PeopleStore
from tests.people import SPACE, sample, unit

pytest.importorskip("cryptography", reason="encryption is not installed")

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
CONSENT = Consent("Ada's mother", datetime(2026, 1, 1, tzinfo=UTC), "the front door")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.gallery"


def key_file(path: Path, key: bytes = KEY) -> Path:
    path.write_text(key.hex() + "\n")
    path.chmod(0o600)
    return path


def filled(path: Path, key: Path | None = None) -> PeopleStore:
    store = open_store(path, SPACE, key)
    store.add("Ada Lovelace", [sample(1), sample(2), sample(3, kind="voice")], CONSENT)
    store.add("Bo", [sample(4)], None)
    review.keep(store, "u0001", unit(5), 0.4, 0.3)
    return store


def contents(store: PeopleStore) -> list[object]:
    """Return everything that a store holds of its people."""
    return [
        (
            person.id,
            person.name,
            person.consent,
            [(s.kind, s.embedding.tobytes(), s.crop, s.digest) for s in store.samples(person.id)],
        )
        for person in store.people()
    ]


# --- encryption ---------------------------------------------------------------------------------


def test_an_encrypted_store_tells_nothing_and_works_alike(path: Path, tmp_path: Path) -> None:
    key = key_file(tmp_path / "key")
    with filled(path, key) as store, filled(tmp_path / "plain") as plain:
        assert contents(store) == contents(plain)
        assert store.owner_of(sample(1).digest) == "u0001"
        assert store.gallery().match(unit(4), 1)[0].name == "Bo"
        assert store.gallery().thumbnail("u0001") == sample(1).crop
        with pytest.raises(ConfigError, match="enrolled already"):
            store.add("Bo", [sample(9)], None)
    secrets = [b"Lovelace", b"mother", sample(1).crop, unit(1).tobytes(), unit(5).tobytes()]
    secrets += [bytes.fromhex(sample(1).digest), hashlib.sha256(b"Bo").digest()]
    found = path.read_bytes()
    assert [secret for secret in secrets if secret in found] == []
    assert sum(secret in (tmp_path / "plain").read_bytes() for secret in secrets) == len(secrets)


def test_without_the_key_or_with_another_nothing_opens(path: Path, tmp_path: Path) -> None:
    filled(path, key_file(tmp_path / "key")).close()
    with pytest.raises(ConfigError, match=r"is encrypted; set gallery\.key_file"):
        open_store(path)
    with pytest.raises(StorageError, match="another key"):
        open_store(path, SPACE, key_file(tmp_path / "other", OTHER_KEY))


def test_sealed_values_cannot_be_exchanged(path: Path, tmp_path: Path) -> None:
    with filled(path, key_file(tmp_path / "key")) as store:
        connection = store.connection
        connection.execute("UPDATE persons SET name = (SELECT name FROM persons WHERE id='u0002')")
        with pytest.raises(StorageError, match="u0001/name: was changed"):
            store.people()


def test_where_the_key_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    assert find_key(None, {}) is None
    assert find_key(None, {"CREDENTIALS_DIRECTORY": str(folder)}) is None
    (folder / CREDENTIAL).write_text(KEY.hex())
    assert find_key(None, {"CREDENTIALS_DIRECTORY": str(folder)}) == KEY
    given = key_file(tmp_path / "key", OTHER_KEY)
    assert find_key(given, {"CREDENTIALS_DIRECTORY": str(folder)}) == OTHER_KEY
    given.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read this key"):
        find_key(given)
    given.chmod(0o600)
    given.write_text("password")
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        find_key(given)
    with pytest.raises(StorageError, match="cannot be read"):
        find_key(tmp_path / "none")


def test_encrypting_changing_the_key_and_decrypting(path: Path, tmp_path: Path) -> None:
    files = {key: key_file(tmp_path / key.decode()[:1], key) for key in (KEY, OTHER_KEY)}
    store = filled(path)
    before = contents(store)
    steps: list[tuple[bytes | None, bytes | None]] = [
        (None, KEY),
        (KEY, OTHER_KEY),
        (OTHER_KEY, None),
    ]
    for old, new in steps:
        reseal_people(store, old, new)
        assert (b"Lovelace" in path.read_bytes()) == (new is None)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        store = open_store(path, SPACE, files[new] if new else None)
        assert contents(store) == before
        assert audit.first_break(store.connection, store.seal) is None
        assert store.owner_of(sample(2).digest) == "u0001"
        assert [entry.name for entry in review.pending(store)] == ["Ada Lovelace"]
    assert review.confirm(store, 1).person_id == "u0001"
    assert [e.what for e in audit.entries(store.connection)][2:5] == [
        "encrypted",
        "encrypted",
        "decrypted",
    ]
    store.close()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_store_in_use_is_not_exchanged(path: Path) -> None:
    store = filled(path)
    with open_store(path, SPACE) as other:
        other.people()
        with pytest.raises(StorageError, match="another program has it open"):
            reseal_people(store, None, KEY)
    store.close()
    with open_store(path, SPACE) as store:
        assert len(store.people()) == 2


# --- archives -----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, KEY])
def test_an_archive_brings_everybody_back(path: Path, tmp_path: Path, key: bytes | None) -> None:
    archive = tmp_path / "out" / "people.zip"
    with filled(path) as store:
        assert export_people(store, archive, key) == 2
        before = contents(store)
        assert [e.what for e in audit.entries(store.connection)][-1] == "exported"
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert [p.name for p in archive.parent.iterdir()] == ["people.zip"]
    assert (b"Lovelace" in archive.read_bytes()) == (key is None)
    assert space_of(archive, key) == SPACE
    with open_store(tmp_path / "new", SPACE) as store:
        assert import_people(store, archive, key) == (2, 0)
        assert contents(store) == before
        assert import_people(store, archive, key) == (0, 2)
        store.remove("Bo")
        store.add("Cy", [sample(8)], None)
        assert import_people(store, archive, key) == (1, 1)
        store.remove("Bo")
        store.add("Bo", [sample(9)], None)
        with pytest.raises(ConfigError, match="'Bo' is enrolled here with other samples"):
            import_people(store, archive, key)
    other = open_store(tmp_path / "other", "space-2")
    with other, pytest.raises(BundleError, match="earsight people migrate"):
        import_people(other, archive, key)


def _rewritten(archive: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    with zipfile.ZipFile(archive) as old:
        members = {name: old.read(name) for name in old.namelist()}
    change(members)
    with zipfile.ZipFile(archive, "w") as new:
        for name, content in members.items():
            new.writestr(name, content)


def _flip(members: dict[str, bytes], name: str, at: int) -> None:
    content = bytearray(members[name])
    content[at] ^= 1
    members[name] = bytes(content)


def _exchange(members: dict[str, bytes]) -> None:
    members["samples/0.png"], members["samples/1.png"] = (
        members["samples/1.png"],
        members["samples/0.png"],
    )


CHANGES: dict[str, Callable[[dict[str, bytes]], None]] = {
    "a crop": lambda m: _flip(m, "samples/0.png", -1),
    "an embedding": lambda m: _flip(m, "samples/1.f32", 20),
    "crops exchanged": _exchange,
    "a member less": lambda m: m.pop("samples/0.png") and None,
    "a member more": lambda m: m.update({"samples/99.png": b"x"}),
    "no manifest": lambda m: m.pop("manifest") and None,
    "manifest cut": lambda m: m.update({"manifest": m["manifest"][:-5]}),
    "header": lambda m: m.update({"people.json": b"[]"}),
    "format": lambda m: m.update({"people.json": b'{"format": 2, "seal": "none"}'}),
}


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_archive_is_refused_whole(
    path: Path, tmp_path: Path, key: bytes | None, change: Callable[[dict[str, bytes]], None]
) -> None:
    archive = tmp_path / "people.zip"
    with filled(path) as store:
        export_people(store, archive, key)
    _rewritten(archive, change)
    with open_store(tmp_path / "new", SPACE) as store:
        with pytest.raises((StorageError, BundleError)):
            import_people(store, archive, key)
        assert store.people() == ()


def test_with_a_key_even_a_consistent_change_is_refused(path: Path, tmp_path: Path) -> None:
    archive = tmp_path / "people.zip"

    def rename(members: dict[str, bytes]) -> None:
        members["manifest"] = members["manifest"].replace(b"Bo", b"Eve")

    with filled(path) as store:
        export_people(store, archive, KEY)
    _rewritten(archive, rename)
    _rewritten(archive, lambda m: _flip(m, "manifest", 200))
    with open_store(tmp_path / "new", SPACE) as store:
        with pytest.raises(StorageError, match="refused: it was changed, or the key is another"):
            import_people(store, archive, KEY)
        with pytest.raises(ConfigError, match="is encrypted"):
            import_people(store, archive, None)
        with pytest.raises(StorageError, match="refused"):
            import_people(store, archive, OTHER_KEY)


def test_a_plain_archive_is_not_taken_for_an_encrypted_one(path: Path, tmp_path: Path) -> None:
    archive = tmp_path / "people.zip"
    with filled(path) as store:
        export_people(store, archive, None)
        with pytest.raises(ConfigError, match="is not encrypted"):
            import_people(store, archive, KEY)


def test_hostile_archives(path: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("people.json", bytes(10_000_000))
    twice = tmp_path / "b.zip"
    with zipfile.ZipFile(twice, "w") as file:
        file.writestr("people.json", b"{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("people.json", b"{}")
    (tmp_path / "c.zip").write_bytes(b"PK" + bytes(100))
    (tmp_path / "d.zip").write_bytes(b"")
    entry = {"kind": "photo", "quality": 1.0, "digest": "a" * 64, "crop": None}
    member = {"member": "samples/0.f32", "sha256": hashlib.sha256(bytes(64)).hexdigest()}
    manifest = {
        "space_id": SPACE,
        "dim": 16,
        "people": [
            {
                "id": "x",
                "name": "\x1b[2J",
                "consent": None,
                "samples": [entry | {"embedding": member}],
            }
        ],
    }
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as file:
        file.writestr("people.json", json.dumps({"format": 1, "seal": "none"}))
        file.writestr("manifest", json.dumps(manifest))
        file.writestr("samples/0.f32", bytes(64))
    with open_store(path, SPACE) as store:
        for name in "abcde":
            with pytest.raises(EarsightError, match="refused"):
                import_people(store, tmp_path / f"{name}.zip", None)
        with pytest.raises(StorageError, match="No such file"):
            import_people(store, tmp_path / "none.zip", None)
        assert store.people() == ()


# --- migration ----------------------------------------------------------------------------------


class Encoder:
    """Embeds the mean colour of a crop in eight dimensions; counts, and breaks down when told."""

    def __init__(self, until: int = 10**9) -> None:
        self.seen = 0
        self._until = until

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return the unit vector of one crop."""
        if self.seen >= self._until:
            raise KeyboardInterrupt
        self.seen += 1
        vector = np.resize(images.reshape(-1, 3).mean(axis=0), 8).astype(np.float32) + 1
        return vector / np.linalg.norm(vector)


def face(key: int, side: int = 12) -> Sample:
    pixels = np.random.default_rng([7, key]).integers(0, 256, (side, side, 3)).astype(np.uint8)
    return dataclasses.replace(sample(key), crop=to_png(pixels // (1 + key % 3)))


def crowded(path: Path, key: Path | None = None) -> PeopleStore:
    store = open_store(path, SPACE, key)
    for i in range(20):
        store.add(f"P{i}", [face(2 * i), face(2 * i + 1)], CONSENT if i == 3 else None)
    store.add_samples("P1", [sample(90, kind="voice")])
    store.add("Voice only", [sample(91, kind="voice")], None)
    store.remove("P19")
    return store


def moved(store: PeopleStore, encoder: Encoder, key: bytes | None = None) -> migrate.Migrated:
    return migrate_people(store, encoder, "space-2", 8, key, lambda done, total: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", [None, KEY])
def test_people_move_to_another_space(path: Path, tmp_path: Path, key: bytes | None) -> None:
    file = key_file(tmp_path / "key", key) if key else None
    store = crowded(path, file)
    encoder = Encoder()
    done = moved(store, encoder, key)
    assert (done.people, done.lost, encoder.seen) == (19, ("Voice only",), 38)
    with open_store(path, "space-2", file) as store:
        assert (store.space_id, store.dim) == ("space-2", 8)
        assert [(p.id, p.name) for p in store.people()] == [
            (f"u{i + 1:04d}", f"P{i}") for i in range(19)
        ]
        assert store.find("P3").consent == CONSENT
        assert store.find("P1").voices == 0
        for crop in (store.samples("P4")[0],):
            np.testing.assert_allclose(
                crop.embedding, Encoder().embed(migrate._pixels(crop.crop, "u0005")[None])
            )
        assert store.gallery().count("photo") == 19
        assert audit.first_break(store.connection, store.seal) is None
        assert store.add("New", [dataclasses.replace(sample(1), embedding=unit(1, dim=8))], None)
        assert store.find("New").id == "u0022"  # removed people's ids stay used
    with open_store(done.kept, SPACE, file) as store:
        assert len(store.people()) == 20


def test_a_migration_goes_on_where_it_was_stopped(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "_AT_ONCE", 4)
    store = crowded(path)
    stopped = Encoder(until=10)
    with pytest.raises(KeyboardInterrupt):
        moved(store, stopped)
    assert len(store.people()) == 20  # the old one is in use all the time
    again = Encoder()
    done = moved(store, again)
    assert (done.people, again.seen) == (19, 38 - 8)
    with open_store(path, "space-2") as store:
        assert {s.embedding.size for p in store.people() for s in store.samples(p.id)} == {8}


def test_a_store_that_changed_meanwhile_is_migrated_again(path: Path) -> None:
    store = crowded(path)

    class Meddler(Encoder):
        def embed(self, images: np.ndarray) -> np.ndarray:
            if not self.seen:
                with open_store(path, SPACE) as other:
                    other.add("Late", [face(77)], None)
            return super().embed(images)

    with pytest.raises(StorageError, match="changed meanwhile"):
        moved(store, Meddler())
    store.close()
    done = moved(open_store(path, SPACE), Encoder())
    assert done.people == 20
    with open_store(path, "space-2") as store:
        assert store.has("Late")


def test_a_damaged_crop_stops_a_migration_and_loses_nothing(path: Path) -> None:
    with crowded(path) as store:
        store.add("Broken", [dataclasses.replace(sample(99), crop=b"no png")], None)
        with pytest.raises(StorageError, match="a photo of u0022 is damaged"):
            moved(store, Encoder())
        assert len(store.people()) == 21


# --- audit log ----------------------------------------------------------------------------------


def test_the_log_tells_everything_and_no_names(path: Path) -> None:
    with filled(path) as store:
        store.rename("Bo", "Eve")
        store.set_consent("Eve", CONSENT)
        store.add_samples("Eve", [sample(6)])
        review.reject(store, 1)
        store.remove("Eve")
        found = list(audit.entries(store.connection))
        assert [(e.what, e.person) for e in found] == [
            ("enrolled", "u0001"),
            ("enrolled", "u0002"),
            ("renamed", "u0002"),
            ("consent", "u0002"),
            ("sample_added", "u0002"),
            ("reviewed", "u0001"),
            ("removed", "u0002"),
        ]
        assert [e.number for e in found] == list(range(1, 8))
        text = json.dumps([e.as_json() for e in found])
        assert not any(name in text for name in ("Bo", "Eve", "Ada", "mother"))


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize(
    ("statement", "first"),
    [
        ("UPDATE audit SET what = 'renamed' WHERE number = 2", 2),
        ("UPDATE audit SET time_s = time_s - 1 WHERE number = 3", 3),
        ("DELETE FROM audit WHERE number = 2", 3),
        ("DELETE FROM audit WHERE number = 1", 2),
        ("UPDATE audit SET person = 'u0009' WHERE number = 4", 4),
    ],
)
def test_a_changed_log_shows(
    path: Path, tmp_path: Path, key: bytes | None, statement: str, first: int
) -> None:
    with open_store(path, SPACE, key_file(tmp_path / "key", key) if key else None) as store:
        for i in range(4):
            store.add(f"P{i}", [sample(i)], None)
        assert audit.first_break(store.connection, store.seal) is None
        store.connection.execute(statement)
        assert audit.first_break(store.connection, store.seal) == first


def test_old_entries_go_and_the_rest_stays_whole(path: Path) -> None:
    with open_store(path, SPACE) as store:
        for i in range(5):
            store.add(f"P{i}", [sample(i)], None)
        times = [e.time.timestamp() for e in audit.entries(store.connection)]
        with store.noting():
            audit.prune(store.connection, (times[2] + times[3]) / 2 + 86_400 * audit.KEPT_DAYS)
        assert [e.number for e in audit.entries(store.connection)] == [4, 5]
        assert audit.first_break(store.connection, store.seal) is None
        store.connection.execute("DELETE FROM audit WHERE number = 4")
        assert audit.first_break(store.connection, store.seal) == 5


# --- reviews ------------------------------------------------------------------------------------


def test_yes_makes_a_voice_sample_and_no_erases(path: Path) -> None:
    with filled(path) as store:
        review.keep(store, "u0002", unit(6), 0.45, 0.6)
        waiting = review.pending(store)
        assert [(r.number, r.name, r.score) for r in waiting] == [
            (2, "Bo", 0.45),
            (1, "Ada Lovelace", 0.4),
        ]
        assert review.confirm(store, 2).name == "Bo"
        assert (store.find("Bo").photos, store.find("Bo").voices) == (1, 1)
        assert store.gallery().match(unit(6), 1)[0].kind == "voice"
        assert review.reject(store, 1).person_id == "u0001"
        assert review.pending(store) == ()
        with pytest.raises(ConfigError, match="nothing of this number waits"):
            review.confirm(store, 2)


def test_reviews_go_with_their_person_with_time_and_by_number(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled(path) as store:
        review.keep(store, "u0002", unit(6), 0.45, 0.6)
        review.keep(store, "gone", unit(7), 0.45, 0.6)
        store.remove("Bo")
        assert [r.number for r in review.pending(store)] == [1]
        review.forget_old(store, 1)
        assert len(review.pending(store)) == 1
        monkeypatch.setattr(review, "MOST", 3)
        for i in range(6):
            review.keep(store, "u0001", unit(i), 0.4, 0.3)
        assert len(review.pending(store)) == 3
        review.forget_old(store, -1)
        assert review.pending(store) == ()


def heard(score: float, named: str | None, asks: bool, space: str = SPACE) -> Event:
    matches = [{"rank": 1, "id": "u0002", "name": "Bo", "score": score}]
    decision = {"name": named, "id": named, "probability": 0.4, "review": asks}
    stamp = Stamp("boot", 7, 0.0, "", True)
    data = {"matches": matches, "decision": decision}
    return Event("heard", stamp, data, None, Embedded(space, unit(5)))


def test_the_live_path_leaves_its_trace(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path).close()
    follower = PeopleSink(path, None, review_days=14)
    stamp = Stamp("boot", 1, 0.0, "", True)
    follower.write(Event("system", stamp, {"what": "started"}))
    follower.write(heard(0.5, "u0002", False))
    follower.write(heard(0.4, None, True))
    follower.write(heard(0.4, None, True, space="another"))
    follower.write(Event("heard", stamp, {"matches": [], "decision": {"id": None}}))
    with open_store(path, SPACE) as store:
        shown = [e for e in audit.entries(store.connection) if e.what == "shown"]
        assert [(e.person, e.detail["named"]) for e in shown] == [
            ("u0002", "u0002"),
            ("u0002", None),
            ("u0002", None),
        ]
        assert shown[0].detail["ranked"] == ["u0002"]
        assert [(r.person_id, r.probability) for r in review.pending(store)] == [
            ("u0002", 0.4),
            ("u0001", 0.3),
        ]
        past = datetime.now(UTC) - timedelta(days=90)
        ended = Consent("Bo", past, "x", past + timedelta(days=1))
        store.set_consent("Bo", ended)
        monkeypatch.setattr(sink, "clock_synced", lambda: False)
        follower._swept_s = -1e9
        follower.write(Event("audio", stamp, {}))
        assert store.has("Bo")  # the clock may be wrong
        monkeypatch.setattr(sink, "clock_synced", lambda: True)
        follower._swept_s = -1e9
        follower.write(Event("audio", stamp, {}))
        assert not store.has("Bo")
    follower.close()


def test_no_reviews_are_kept_when_nobody_wants_them(path: Path) -> None:
    filled(path).close()
    follower = PeopleSink(path, None, review_days=0)
    follower.write(heard(0.4, None, True))
    follower.close()
    with open_store(path, SPACE) as store:
        assert [r.person_id for r in review.pending(store)] in ([], ["u0001"])


def test_values_survive_their_seal() -> None:
    seal = KeySeal(KEY)
    assert seal.unseal(seal.seal(b"", "a"), "a") == b""
    assert seal.seal(b"x", "a") != seal.seal(b"x", "a")
    assert seal.index("Ada") == KeySeal(KEY).index("Ada") != KeySeal(OTHER_KEY).index("Ada")
    for stored in (b"", b"short", seal.seal(b"x", "b")):
        with pytest.raises(StorageError):
            seal.unseal(stored, "a")
