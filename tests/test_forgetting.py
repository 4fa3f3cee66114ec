"""`earsight forget` where traces hide: old copies of the gallery, voices that wait for review."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from edge import cli
from edge.face.gallery import Gallery
from edge.face.gallery_file import save_gallery
from edge.people.opening import OLD_SUFFIX, open_store
from edge.people.person import Sample
from edge.people.review import keep, pending
from edge.people.store import PeopleStore

SPACE = "forgetting"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "device.toml"
    path.write_text(
        f'[gallery]\npath = "{tmp_path}/people.gallery"\n[journal]\nfolder = "{tmp_path}/j"\n'
    )
    return path


def enrol(store: PeopleStore, *names: str) -> None:
    for number, name in enumerate(names):
        vector = np.eye(8, dtype=np.float32)[number]
        store.add(name, [Sample("photo", vector, b"png", f"{number:064x}", 1.0)], None)


def test_the_copy_of_an_earlier_version_goes_too(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "people.gallery"
    gallery = Gallery(SPACE)
    for number, name in enumerate(("Ada Byron", "Bo")):
        gallery = gallery.add(name, np.eye(8, dtype=np.float32)[number], b"")
    save_gallery(path, gallery)
    with open_store(path):
        pass  # it becomes a store
    copy = path.with_name(path.name + OLD_SUFFIX)
    assert copy.exists()
    assert cli.main(["forget", "Ada Byron", "--config", str(config)]) == 0
    assert "the copy of an earlier version is removed" in capsys.readouterr().out
    assert not copy.exists()
    files = b"".join(f.read_bytes() for f in tmp_path.rglob("people.gallery*") if f.is_file())
    assert b"Ada Byron" not in files


def test_voices_that_wait_for_review_go_with_their_time(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "people.gallery"
    voice = np.eye(8, dtype=np.float32)[5]
    with open_store(path, SPACE) as store:
        enrol(store, "Ada", "Bo")
        for person in ("u0001", "u0002", "u0001"):
            keep(store, person, voice, 0.5, 0.4)
    hour = timedelta(hours=1)
    before, after = (datetime.now(UTC) + d for d in (-hour, hour))

    def left() -> list[str]:
        with open_store(path) as store:
            return [review.person_id for review in pending(store)]

    command = ["forget", "--config", str(config), "--since"]
    assert cli.main([*command, after.isoformat()]) == 0
    assert left() == ["u0001", "u0002", "u0001"]
    assert cli.main([*command, before.isoformat(), "Ada"]) == 0
    assert "2 voices that waited for review are erased" in capsys.readouterr().out
    assert left() == ["u0002"]
    assert cli.main(["forget", "--config", str(config), "--until", after.isoformat()]) == 0
    assert left() == []
    assert voice.tobytes() not in path.read_bytes()
    with open_store(path) as store:
        assert store.has("Ada")  # who is enrolled stays
