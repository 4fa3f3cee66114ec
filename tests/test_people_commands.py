"""`earsight people` and `earsight review`, from the command line."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest

from edge import cli
from edge.commands import loading, people_files
from edge.face.gallery import user_gallery_path
from edge.people import review
from edge.people.opening import open_store
from tests.fakes import FakeBundle
from tests.people import SPACE, sample, unit
from tests.test_people_files import face


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give every test a user with two people enrolled."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with open_store(user_gallery_path(), SPACE) as store:
        store.add("Ada", [sample(1), sample(2, kind="voice")], None)
        store.add("Bo", [sample(3)], None)
    return tmp_path


def ask(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    """Run a command that must succeed and return what it prints."""
    capsys.readouterr()
    assert cli.main([str(arg) for arg in args]) == 0
    return capsys.readouterr().out


def test_people_are_renamed_and_consent_is_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    assert "u0002 is now called Eve" in ask(capsys, "people", "rename", "Bo", "Eve")
    assert cli.main(["people", "rename", "Ada", "Eve"]) == 3
    said = ask(capsys, "people", "consent", "Eve", "--by", "her father", "--expires", "2999-01-01")
    assert "1 photo, consent until 2999-01-01" in said or "2998-12-31" in said
    assert "consent of Ada" in ask(capsys, "people", "consent", "Ada", "--by", "Ada")
    listed = ask(capsys, "people").splitlines()
    assert listed[0] == "u0001  Ada  (1 photo, 1 recording, consent of Ada)"
    assert "no consent recorded" in ask(capsys, "people", "consent", "Eve", "--none")
    assert cli.main(["people", "consent", "Ada", "--by", "A", "--expires", "2001-01-01"]) == 3


def test_the_log_is_printed_and_a_changed_one_fails(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ask(capsys, "people", "audit", "--json").splitlines()
    assert [json.loads(line)["what"] for line in lines] == ["enrolled", "enrolled"]
    assert "enrolled     u0002" in ask(capsys, "people", "audit")
    with open_store(user_gallery_path()) as store:
        store.connection.execute("DELETE FROM audit WHERE number = 1")
    assert cli.main(["people", "audit"]) == 1
    assert "entry 2 was changed" in capsys.readouterr().out


def test_reviews_are_shown_and_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing waits" in ask(capsys, "review")
    with open_store(user_gallery_path()) as store:
        review.keep(store, "u0002", unit(5), 0.41, 0.3)
        review.keep(store, "u0001", unit(6), 0.42, 0.2)
    text = ask(capsys, "review")
    assert "was this Bo (u0002)? probability 30%, score 0.41" in text
    assert [entry["number"] for entry in json.loads(ask(capsys, "review", "--json"))] == [2, 1]
    assert "Bo (u0002) is now known by this voice too" in ask(capsys, "review", "--yes", 1)
    assert "that was not Ada" in ask(capsys, "review", "--no", 2)
    assert cli.main(["review", "--yes", "1"]) == 3
    assert "Bo  (1 photo, 1 recording, " in ask(capsys, "people")


def test_people_go_from_one_gallery_to_another(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, other = home / "people.zip", home / "other.gallery"
    assert cli.main(["people", "export", str(archive)]) == 3
    assert "give --key-file" in capsys.readouterr().err
    assert "readable for everybody" in ask(capsys, "people", "export", archive, "--plain")
    assert "2 people were added" in ask(capsys, "people", "import", archive, "--gallery", other)
    assert "2 were there already" in ask(capsys, "people", "import", archive, "--gallery", other)
    archive.write_bytes(archive.read_bytes().replace(b"png of (3,)", b"png of (4,)"))
    assert cli.main(["people", "import", str(archive), "--gallery", str(home / "third")]) == 9
    assert "refused: samples/2.png" in capsys.readouterr().err
    assert not (home / "third").exists()


def test_a_gallery_is_encrypted_and_decrypted(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography", reason="the [encryption] extra is not installed")
    keys = [home / "key", home / "other"]
    for key in keys:
        key.write_text(secrets.token_hex(32))
        key.chmod(0o600)
    ask(capsys, "people", "encrypt", "--key-file", keys[0])
    assert cli.main(["people"]) == 3
    ask(capsys, "people", "encrypt", "--key-file", keys[1], "--old-key-file", keys[0])
    monkeypatch.setenv("EARSIGHT_GALLERY__KEY_FILE", str(keys[1]))
    assert "u0001  Ada" in ask(capsys, "people")
    archive = home / "people.zip"
    ask(capsys, "people", "export", archive, "--key-file", keys[0])
    assert b"Ada" not in archive.read_bytes()
    ask(capsys, "people", "decrypt")
    monkeypatch.delenv("EARSIGHT_GALLERY__KEY_FILE")
    assert "u0002  Bo" in ask(capsys, "people")
    assert cli.main(["people", "import", str(archive)]) == 3  # without its key
    ask(capsys, "people", "import", archive, "--key-file", keys[0])


def test_people_move_to_another_bundle(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = FakeBundle()
    monkeypatch.setattr(people_files, "open_bundle", lambda path: bundle)
    monkeypatch.setattr(loading, "load_bundle", lambda path: bundle)
    with open_store(user_gallery_path()) as store:
        for person in store.people():
            store.remove(person.id)
        store.add("Cy", [face(4, side=112)], None)
        store.add("Voice", [sample(5, kind="voice")], None)
    said = ask(capsys, "people", "migrate")
    assert "1 people are ready for fake" in said
    assert "enroll again: Voice" in said
    with open_store(user_gallery_path(), bundle.manifest.embedding.space_id) as store:
        assert [(person.name, store.dim) for person in store.people()] == [("Cy", 128)]
    assert "is of this bundle already" in ask(capsys, "people", "migrate")
