"""The journal: the announced is kept, the forgotten is gone, the broken is set aside."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import ConfigError, StorageError
from edge.events import Event, Stamper
from edge.sinks.forgetting import without_person
from edge.sinks.journal import Journal, JournalSettings
from edge.sinks.journal_query import read_events
from tests.soak_journal import Soaked, soak

ROOT = Path(__file__).parents[1]
PNG = b"\x89PNG a face"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder in memory where there is one: a test waits for no disk to sync."""
    memory = Path("/dev/shm")
    parent = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else tmp_path))
    yield parent / "journal"
    shutil.rmtree(parent)


@pytest.fixture
def journal(folder: Path) -> Iterator[Journal]:
    opened = Journal(settings(folder))
    yield opened
    opened.close()


def settings(folder: Path, **changes: float) -> JournalSettings:
    return dataclasses.replace(
        JournalSettings(folder=str(folder), keep_days=0, keep_free_mb=0), **changes
    )


def heard(*ranked: str, decided: str | None = None, why: str = "", **stamp: Any) -> Event:
    matches = [
        {"rank": i + 1, "id": p, "name": p.upper(), "score": 0.5} for i, p in enumerate(ranked)
    ]
    decision = {"id": decided, "name": decided and decided.upper(), "votes": 2, "of": 3, "why": why}
    event = Stamper().event("heard", {"matches": matches, "decision": decision}, PNG)
    return dataclasses.replace(event, stamp=dataclasses.replace(event.stamp, **stamp))


def at(time: datetime, **stamp: Any) -> Event:
    return heard("ada", wall=time.isoformat(), **stamp)


def files_with(folder: Path, text: bytes) -> list[str]:
    return [p.name for p in folder.rglob("*") if p.is_file() and text in p.read_bytes()]


def test_what_is_written_is_read_back_newest_first(journal: Journal, folder: Path) -> None:
    stamper = Stamper()
    written = [stamper.event("audio", {"state": s}) for s in ("waiting", "listening")]
    written += [stamper.event("heard", {"matches": []}, PNG)]
    for event in written:
        journal.write(event)
    found = journal.events()
    assert [e.body for e in found] == [e.as_json() for e in reversed(written)]
    assert [e.id for e in found] == [3, 2, 1]
    assert found[0].portrait is not None
    assert found[0].portrait.read_bytes() == PNG
    assert found[1].portrait is None
    assert journal.events(kind="audio", limit=1) == found[1:2]
    assert read_events(folder) == found  # as another process does
    journal.close()
    reopened = Journal(settings(folder))
    assert reopened.events() == found
    reopened.close()
    assert read_events(folder) == found


def test_nobody_else_can_read_it(journal: Journal, folder: Path) -> None:
    journal.write(dataclasses.replace(heard("ada"), sound=b"RIFF"))
    modes = {p.relative_to(folder).as_posix(): p.stat().st_mode & 0o777 for p in folder.rglob("*")}
    assert modes == {
        "journal.db": 0o600,
        "journal.db-wal": 0o600,
        "journal.db-shm": 0o600,
        "portraits": 0o700,
        "portraits/1.png": 0o600,
        "sounds": 0o700,
        "sounds/1.wav": 0o600,
    }
    assert folder.stat().st_mode & 0o777 == 0o700


def test_times_limit_a_question(journal: Journal) -> None:
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    for hours in range(5):
        journal.write(at(noon + timedelta(hours=hours), sequence=hours))
    found = journal.events(since=noon + timedelta(hours=1), until=noon + timedelta(hours=3))
    assert [e.body["sequence"] for e in found] == [2, 1]


def test_events_from_before_the_clock_was_set_get_their_true_time(journal: Journal) -> None:
    """A board without a battery boots in the past; forgetting by time must still find them."""
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    past = datetime(1970, 1, 2, tzinfo=UTC)
    journal.write(at(past, boot_id="other", monotonic_s=5.0, clock_synced=False))
    journal.write(at(past, boot_id="this", monotonic_s=10.0, clock_synced=False))
    journal.write(at(noon, boot_id="this", monotonic_s=70.0, clock_synced=True))
    newest, middle, oldest = journal.events()
    assert newest.time_s == noon.timestamp()
    assert middle.time_s == pytest.approx(noon.timestamp() - 60)
    assert middle.time_sure
    assert oldest.time_s == past.timestamp()
    assert not oldest.time_sure
    assert journal.forget(since=noon - timedelta(minutes=2)).removed == 2


def test_age_and_size_are_bounded(folder: Path) -> None:
    now = datetime.now(UTC)
    journal = Journal(settings(folder))
    for days in (40, 31, 29, 0):
        journal.write(at(now - timedelta(days=days), sequence=days))
    journal.close()
    journal = Journal(settings(folder, keep_days=30.0))
    assert [e.body["sequence"] for e in journal.events()] == [0, 29]
    assert sorted(p.name for p in (folder / "portraits").iterdir()) == ["3.png", "4.png"]
    journal.close()

    journal = Journal(settings(folder, max_mb=1.0))
    stamper = Stamper()
    for _ in range(300):
        journal.write(stamper.event("heard", {"text": "x" * 3000}, bytes(5000)))
    used = sum(p.stat().st_size for p in folder.rglob("*.png"))
    assert used < 1 << 20
    found = journal.events(limit=0)
    assert 50 < len(found) < 230  # 8 kB each, looked at every 100 events
    assert found[0].body["sequence"] == 299
    assert {p.name for p in (folder / "portraits").iterdir()} == {f"{e.id}.png" for e in found}
    journal.close()


def test_a_killed_writer_leaves_no_stray_file(folder: Path) -> None:
    Journal(settings(folder)).close()
    for name in ("portraits/7.png", "portraits/.8.png.half", "sounds/7.wav"):
        (folder / name).write_bytes(PNG)
    Journal(settings(folder)).close()
    assert list((folder / "portraits").iterdir()) == []
    assert list((folder / "sounds").iterdir()) == []


def test_a_kept_sound_is_private_and_goes_with_its_event(journal: Journal, folder: Path) -> None:
    sounds = [b"RIFF of %d" % number * 1000 for number in range(3)]
    for number, who in enumerate(("ada", "bob", "ada")):
        journal.write(dataclasses.replace(heard(who, decided=who), sound=sounds[number]))
    journal.write(heard("bob"))
    found = journal.events()
    assert [entry.sound and entry.sound.read_bytes() for entry in found] == [None, *sounds[::-1]]
    assert {path.stat().st_mode & 0o777 for path in (folder / "sounds").iterdir()} == {0o600}
    assert (folder / "sounds").stat().st_mode & 0o777 == 0o700
    journal.forget(person="ada")
    assert [path.read_bytes() for path in (folder / "sounds").iterdir()] == [sounds[1]]
    journal.forget(since=datetime(2000, 1, 1, tzinfo=UTC))
    assert list((folder / "sounds").iterdir()) == []


def test_kept_sounds_count_for_the_size_limit(folder: Path) -> None:
    journal = Journal(settings(folder, max_mb=1.0))
    for _ in range(12):
        journal.write(dataclasses.replace(heard("ada"), sound=bytes(200_000)))
    journal.close()
    Journal(settings(folder, max_mb=1.0)).close()
    assert sum(path.stat().st_size for path in (folder / "sounds").iterdir()) <= 1 << 20
    assert len(read_events(folder)) == len(list((folder / "sounds").iterdir())) > 0


@pytest.mark.parametrize("where", ["all over", "header", "cut short", "empty pages", "not SQLite"])
def test_a_corrupt_journal_is_set_aside(
    folder: Path, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(settings(folder))
    for _ in range(100):
        journal.write(heard("ada", why="x" * 300))
    journal.close()
    database = folder / "journal.db"
    damaged = bytearray(database.read_bytes())
    rng = np.random.default_rng([1, len(where)])
    if where == "all over":
        for position in rng.integers(0, len(damaged), 2000):
            damaged[position] ^= 0xFF
    elif where == "header":
        damaged[18:40] = bytes(22)
    elif where == "cut short":
        del damaged[len(damaged) // 2 :]
    elif where == "empty pages":
        damaged[4096 : 5 * 4096] = bytes(4 * 4096)
    else:
        damaged[:16] = b"somebody's notes"
    database.write_bytes(damaged)

    with caplog.at_level(logging.WARNING):
        journal = Journal(settings(folder))
    (aside,) = folder.glob("set-aside-*")
    assert (aside / "journal.db").read_bytes() == damaged  # nothing is lost
    assert len(list((aside / "portraits").iterdir())) == 100
    (record,) = caplog.records
    assert str(aside) in record.getMessage()
    assert "\n" not in record.getMessage()
    assert journal.events() == ()
    journal.write(heard("bob"))
    assert len(journal.events()) == 1
    journal.close()


def test_any_flipped_byte_is_found_or_harmless(folder: Path) -> None:
    """Every event that is read back is exactly one that was written, wherever the damage is."""
    journal = Journal(settings(folder))
    written = [heard("ada", "bob", sequence=i, why="x" * 200) for i in range(20)]
    for event in written:
        journal.write(event)
    journal.close()
    sound = (folder / "journal.db").read_bytes()
    bodies = [event.as_json() for event in written]
    rng = np.random.default_rng([5])
    for position in [*range(0, 100, 2), *rng.integers(100, len(sound), 50).tolist()]:
        damaged = bytearray(sound)
        damaged[position] ^= 1 << int(rng.integers(8))
        (folder / "journal.db").write_bytes(damaged)
        journal = Journal(settings(folder))
        assert all(entry.body in bodies for entry in journal.events()), position
        journal.write(written[0])
        journal.close()
        for aside in folder.glob("set-aside-*"):
            shutil.rmtree(aside)


def test_a_damaged_row_is_left_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(settings(folder))
    for name in ("ada", "bob", "cyd"):
        journal.write(heard(name, decided=name))
    journal.close()
    database = folder / "journal.db"
    database.write_bytes(database.read_bytes().replace(b'"BOB"', b'"B0B"'))
    journal = Journal(settings(folder))
    with caplog.at_level(logging.WARNING):
        assert [e.body["decision"]["id"] for e in journal.events()] == ["cyd", "ada"]
    assert "1 events are damaged" in caplog.text
    journal.close()


def test_a_journal_that_breaks_in_use_is_set_aside_too(folder: Path) -> None:
    journal = Journal(settings(folder))
    for _ in range(50):
        journal.write(heard("ada", why="x" * 500))
    with sqlite3.connect(folder / "journal.db") as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    database = folder / "journal.db"
    database.write_bytes(database.read_bytes()[:4096] + bytes(database.stat().st_size - 4096))
    for _ in range(3):
        journal.write(heard("bob"))
    assert [e.body["matches"][0]["id"] for e in journal.events()] == ["bob"] * 3
    assert len(list(folder.glob("set-aside-*"))) == 1
    journal.close()


def test_a_journal_of_a_newer_earsight_is_set_aside_whole(folder: Path) -> None:
    """An update that is rolled back in the field must not leave a daemon that cannot start."""
    Journal(settings(folder)).close()
    with sqlite3.connect(folder / "journal.db") as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StorageError, match="newer earsight"):
        read_events(folder)
    Journal(settings(folder)).close()
    (aside,) = folder.glob("set-aside-*")
    assert (aside / "journal.db").exists()


def test_a_stray_log_is_not_given_to_a_new_database(folder: Path) -> None:
    folder.mkdir()
    (folder / "journal.db-wal").write_bytes(b"what is left of a journal")
    Journal(settings(folder)).close()
    (aside,) = folder.glob("set-aside-*")
    assert (aside / "journal.db-wal").read_bytes() == b"what is left of a journal"


def test_a_folder_that_cannot_be_used_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="check the path"):
        Journal(settings(tmp_path / "file" / "journal"))
    with pytest.raises(StorageError, match="holds no journal"):
        read_events(tmp_path)
    with pytest.raises(ConfigError, match="max_mb"):
        JournalSettings(max_mb=0.0)


FILL = """
import sys
from edge.errors import StorageError
from edge.events import Stamper
from edge.sinks.journal import Journal, JournalSettings
from pathlib import Path
folder = Path(sys.argv[1])
ballast = folder / "ballast"
ballast.write_bytes(bytes(int(sys.argv[2])))
journal = Journal(JournalSettings(folder=str(folder / "journal"), keep_free_mb=0.0))
stamper, written, failures = Stamper(), 0, 0
while failures < 5:
    try:
        journal.write(stamper.event("heard", {"text": "x" * 500}, bytes(3000)))
        written += 1
    except StorageError as exc:
        failures += 1
        message = str(exc)
assert "\\n" not in message and ("full" in message or "No space" in message), message
assert len(journal.events(limit=0)) == written > 10
assert len(list((folder / "journal/portraits").iterdir())) == written
ballast.unlink()
journal.write(stamper.event("heard", {"text": "after"}, bytes(3000)))
assert len(journal.events(limit=0)) == written + 1
journal.close()
journal = Journal(JournalSettings(folder=str(folder / "journal"), keep_free_mb=0.0))
assert len(journal.events(limit=0)) == written + 1
print("kept", written)
"""


def test_a_full_disk_costs_only_the_new_events(tmp_path: Path) -> None:
    """On a file system of its own of 1 MB: errors are named, old events stay, space heals it."""
    inside = f"mount -t tmpfs -o size=1m none '{tmp_path}' && exec \"$@\""
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", inside, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"]).returncode:
        pytest.skip("this machine lets nobody mount a small disk (unshare --mount)")
    done = subprocess.run(
        [*command, sys.executable, "-c", FILL, str(tmp_path), "300000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("kept"), done.stderr


def test_the_last_space_is_left_to_the_system(folder: Path) -> None:
    journal = Journal(settings(folder, keep_free_mb=1e9))
    with pytest.raises(StorageError, match="keep_free_mb"):
        journal.write(heard("ada"))
    journal.close()


def test_two_processes_and_threads_may_use_it_at_once(journal: Journal, folder: Path) -> None:
    other = Journal(settings(folder))
    writers = [
        threading.Thread(target=lambda j=j: [j.write(heard("ada")) for _ in range(20)])
        for j in (journal, journal, other)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(other.events()) == 60
    other.close()


def test_a_forgotten_person_is_in_no_file(journal: Journal, folder: Path) -> None:
    journal.write(heard("eve", "bob", decided="eve"))
    journal.write(heard("eve", "bob"))  # unknown, and most like Eve
    journal.write(heard("bob", "eve", decided="bob"))
    journal.write(heard("bob", decided="bob", why="nearer than EVE by 0.10"))
    journal.write(heard("bob", "steve", decided="bob"))
    assert files_with(folder, b"EVE")
    forgotten = journal.forget(person="eve")
    assert dataclasses.astuple(forgotten) == (3, 1, 0)
    assert [[m["id"] for m in e.body["matches"]] for e in journal.events()] == [
        ["bob", "steve"],
        ["bob"],
    ]
    assert not files_with(folder, b'"EVE"')
    assert not files_with(folder, b'"eve"')
    assert sorted(p.name for p in (folder / "portraits").iterdir()) == ["3.png", "5.png"]
    assert (folder / "journal.db-wal").stat().st_size == 0
    assert journal.forget(person="nobody") == dataclasses.replace(forgotten, removed=0, changed=0)


def test_who_left_the_gallery_is_forgotten_by_name(journal: Journal, folder: Path) -> None:
    journal.write(heard("eve", "bob", decided="eve"))
    journal.write(heard("bob", "eve", decided="bob"))
    assert dataclasses.astuple(journal.forget(person="EVE")) == (1, 1, 0)
    assert not files_with(folder, b"EVE")
    assert not files_with(folder, b'"eve"')


def test_a_forgotten_time_is_in_no_file(journal: Journal, folder: Path) -> None:
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    for hours in range(4):
        journal.write(at(noon + timedelta(hours=hours), boot_id=f"secret{hours}"))
    found = journal.forget(since=noon + timedelta(hours=1), until=noon + timedelta(hours=3))
    assert found.removed == 2
    assert files_with(folder, b"secret0")
    assert not files_with(folder, b"secret1")
    assert not files_with(folder, b"secret2")
    assert len(list((folder / "portraits").iterdir())) == 2
    with pytest.raises(ConfigError, match="name a person"):
        journal.forget()


def test_forgetting_reaches_what_was_set_aside(folder: Path) -> None:
    journal = Journal(settings(folder))
    journal.write(heard("eve", decided="eve"))
    journal.close()
    (folder / "journal.db").write_bytes(b"EVE" * 5000)
    journal = Journal(settings(folder))
    assert files_with(folder, b"EVE")
    assert journal.forget(person="eve").set_aside == 1
    assert not files_with(folder, b"EVE")
    journal.close()


def test_forgetting_works_beside_a_running_daemon(journal: Journal, folder: Path) -> None:
    journal.write(heard("eve", decided="eve"))
    command = Journal(settings(folder))
    assert command.forget(person="eve").removed == 1
    command.close()
    assert not files_with(folder, b"EVE")
    journal.write(heard("bob"))
    assert len(journal.events()) == 1


def test_a_person_is_taken_out_of_json_only_where_named() -> None:
    body = heard("bob", "eve", "steve", decided="bob").as_json()
    rest = without_person(body, ["eve"], ["EVE"])
    assert rest is not None
    assert [m["id"] for m in rest["matches"]] == ["bob", "steve"]
    assert json.dumps(rest).count("EVE") == 1  # in STEVE
    assert without_person(rest, ["eve"], ["EVE"]) is rest
    assert without_person(body, ["bob"], []) is None
    assert without_person({"kind": "system", "text": "enrolled EVE."}, ["eve"], ["EVE"]) is None
    audio = {"kind": "audio", "state": "listening", "reason": "every thing is fine"}
    assert without_person(audio, ["eve"], ["EVE"]) is audio


def test_kill_at_any_moment_loses_nothing_announced(folder: Path) -> None:
    soaked = soak(folder, kills=20, seed=2)
    assert soaked == Soaked(20, soaked.announced, missing=0, set_aside=0, damaged_portraits=0)
    assert soaked.announced > 20
