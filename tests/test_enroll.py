"""`earsight enroll` and `earsight find`: from the command line to the store and back."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edge import cli
from edge.audio import speech
from edge.bundle import Bundle
from edge.errors import HardwareError, RuntimeUnavailable
from edge.events import Embedded, Stamper
from edge.face.camera import is_camera, take_photos
from edge.people.opening import open_store
from edge.sinks.journal import Journal, JournalSettings
from edge.sinks.journal_voices import read_voices
from edge.types import UInt8

pytest.importorskip("PIL")
pytest.importorskip("soundfile")
import soundfile

from tests.faces import bad_files, detecting_bundle, jpeg, photo_of, rendered_faces


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a user without a gallery."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return detecting_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def faces() -> list[UInt8]:
    return rendered_faces()


def test_photos_make_a_person_and_more_photos_are_added(
    home: Path, bundle: Bundle, faces: list[UInt8], capsys: pytest.CaptureFixture[str]
) -> None:
    for shot in range(3):
        (home / f"{shot}.jpg").write_bytes(jpeg(photo_of(faces[1], seed=shot)))
    options = ["--bundle", str(bundle.path), "--gallery", str(home / "g.gallery")]
    consent = ["--consent-by", "Ada", "--purpose", "a test", "--expires", "2090-01-01"]
    assert cli.main(["enroll", "Ada", "0.jpg", "1.jpg", *consent, *options]) == 0
    out = capsys.readouterr().out
    assert "Ada is u0001, with 2 photos" in out
    assert "1.jpg shows nearly the same as 0.jpg" in out
    assert "1 photo: 3 or more" in out
    assert cli.main(["enroll", "Ada", "2.jpg", "0.jpg", *options]) == 0
    out = capsys.readouterr().out
    assert "1 added, now 3 photos" in out
    assert "0.jpg is the same file as enrolled photo 1" in out
    with open_store(home / "g.gallery") as store:
        (person,) = store.people()
        assert person.consent is not None
        assert (person.consent.given_by, person.consent.purpose) == ("Ada", "a test")
        assert person.consent.expires is not None
        assert person.consent.expires.year in (2089, 2090)  # local midnight


def test_refused_photos_are_named_shown_and_do_not_stop_the_others(
    home: Path, bundle: Bundle, faces: list[UInt8], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home / "photos"
    folder.mkdir()
    for name, content, _ in bad_files(faces[1]):
        (folder / name).write_bytes(content)
    (folder / "z.jpg").write_bytes(jpeg(photo_of(faces[1])))
    options = ["--bundle", str(bundle.path), "--out", str(home / "seen")]
    assert cli.main(["enroll", "Bo", str(folder), *options]) == 6
    captured = capsys.readouterr()
    assert "Bo is u0001, with 1 photo," in captured.out
    for name, _, word in bad_files(faces[1]):
        (line,) = [line for line in captured.err.splitlines() if f"/{name}: " in line]
        assert word in line.partition(f"/{name}: ")[2]
    shown = sorted(path.name for path in (home / "seen").iterdir())
    assert "two-refused.png" in shown
    assert "nobody-refused.png" in shown
    assert {path.stat().st_mode & 0o777 for path in (home / "seen").iterdir()} == {0o600}


def test_wrong_usage_is_2(home: Path) -> None:
    for args in (["Ada"], [], ["Ada", "x.jpg", "--all", "."], ["A", "x.jpg", "--purpose", "p"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(["enroll", *args])
        assert caught.value.code == 2


def test_a_voice_is_enrolled_and_found_by_a_face(
    home: Path,
    bundle: Bundle,
    faces: list[UInt8],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(speech, "silero", lambda: lambda chunk: float(np.abs(chunk).max() > 0.01))
    rng = np.random.default_rng(0)
    soundfile.write(home / "voice.wav", rng.normal(0, 0.1, 48000), 16000)
    (home / "face.jpg").write_bytes(jpeg(photo_of(faces[0])))
    options = ["--bundle", str(bundle.path), "--gallery", str(home / "g.gallery")]
    assert cli.main(["enroll", "Ada", "--voice", "voice.wav", *options]) == 0
    assert "with 1 recording" in capsys.readouterr().out
    journal = home / "journal"
    _journal_with_a_voice(journal, bundle)
    assert cli.main(["find", "face.jpg", "--json", "--journal", str(journal), *options]) == 0
    voices = json.loads(capsys.readouterr().out)["voices"]
    assert sorted(voice["who"] for voice in voices) == ["Ada", "Bo"]
    assert [voice["rank"] for voice in voices] == [1, 2]
    assert voices[0]["score"] >= voices[1]["score"]
    assert cli.main(["find", "face.jpg", *options]) == 0
    assert "a guess, not an identification" in capsys.readouterr().out


def test_without_voices_find_says_how_to_get_some(
    home: Path, bundle: Bundle, faces: list[UInt8], capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "face.jpg").write_bytes(jpeg(photo_of(faces[0])))
    assert cli.main(["find", "face.jpg", "--bundle", str(bundle.path)]) == 9
    assert "--voice FILE" in capsys.readouterr().err


def test_a_journal_keeps_voices_only_when_asked(tmp_path: Path) -> None:
    vector = np.eye(4, dtype=np.float32)[0]
    for wanted in (False, True):
        folder = tmp_path / str(wanted)
        settings = JournalSettings(folder=str(folder), keep_free_mb=0.0, embeddings=wanted)
        with closing(Journal(settings)) as journal:
            event = Stamper().event("heard", {"decision": None}, voice=Embedded("s", vector))
            journal.write(event)
            assert "voice" not in event.as_json()
        assert [v.embedding.tolist() for v in read_voices(folder, "s")] == (
            [vector.tolist()] if wanted else []
        )
        assert read_voices(folder, "another space") == ()


def test_a_forgotten_event_takes_its_voice_along(tmp_path: Path, bundle: Bundle) -> None:
    _journal_with_a_voice(tmp_path, bundle)
    settings = JournalSettings(folder=str(tmp_path), keep_free_mb=0.0, embeddings=True)
    with closing(Journal(settings)) as journal:
        assert journal.forget("u0002").removed == 1
    assert read_voices(tmp_path, bundle.manifest.embedding.space_id) == ()


def test_an_empty_folder_and_an_absent_camera_are_named(
    home: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "none").mkdir()
    options = ["--bundle", str(bundle.path), "--gallery", str(home / "g.gallery")]
    assert cli.main(["enroll", "Ada", "none", *options]) == 6
    assert "none: an empty folder; put photos into it" in capsys.readouterr().err
    assert cli.main(["enroll", "Ada", "/dev/video987", *options]) == 5
    assert "/dev/video987: there is no such camera" in capsys.readouterr().err
    assert not (home / "g.gallery").exists()


def test_what_is_no_camera_is_refused(tmp_path: Path) -> None:
    assert not is_camera(tmp_path)
    assert not is_camera(tmp_path / "nothing")
    assert is_camera(Path("/dev/null"))
    with pytest.raises((HardwareError, RuntimeUnavailable)) as caught:
        take_photos(Path("/dev/null"))
    assert "/dev/null" in str(caught.value) or "ffmpeg" in str(caught.value)


def test_a_camera_gives_photos(bundle: Bundle) -> None:
    device = Path("/dev/video0")
    if not device.exists() or shutil.which("ffmpeg") is None:
        pytest.skip("there is no /dev/video0, or no ffmpeg")
    photos = take_photos(device)
    assert all(photo.startswith(b"\x89PNG") for photo in photos)


def _journal_with_a_voice(folder: Path, bundle: Bundle) -> None:
    settings = JournalSettings(folder=str(folder), keep_free_mb=0.0, embeddings=True)
    vector = np.full(bundle.manifest.embedding.dim, 1.0, np.float32)
    voice = Embedded(bundle.manifest.embedding.space_id, vector / np.linalg.norm(vector))
    decision = {"name": "Bo", "id": "u0002"}
    with closing(Journal(settings)) as journal:
        journal.write(Stamper().event("heard", {"decision": decision}, voice=voice))
