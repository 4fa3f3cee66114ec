"""Enrolment from the page: real photos in, the command in a process of its own, nothing on disk."""

from __future__ import annotations

import base64
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge import cli
from edge.config import DeviceConfig, GallerySettings
from edge.errors import InputError
from edge.face.gallery import sample_gallery_path
from edge.people.opening import open_store, read_gallery
from edge.web.enrolment import Photo, enrol, own_gallery, remove
from tests.faces import bad_files, jpeg, photo_of, rendered_faces
from tests.web_visitor import Visitor, served

pytest.importorskip("starlette", reason="needs the page's server: pip install 'earsight[web]'")
pytest.importorskip("python_multipart", reason="needs: pip install 'earsight[web]'")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> DeviceConfig:
    folder = tmp_path_factory.mktemp("device")
    return DeviceConfig(gallery=GallerySettings(path=str(folder / "people.gallery")))


def names(config: DeviceConfig) -> list[str]:
    return [person.name for person in read_gallery(Path(config.gallery.path)).people]


def form(fields: dict[str, str], photos: list[bytes]) -> tuple[bytes, str]:
    """Return a multipart body and its type."""
    parts = [
        f'Content-Disposition: form-data; name="{name}"\r\n\r\n{text}'.encode()
        for name, text in fields.items()
    ]
    parts += [
        f'Content-Disposition: form-data; name="photo"; filename="{number}.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n".encode()
        + photo
        for number, photo in enumerate(photos)
    ]
    body = b"".join(b"--frontier\r\n" + part + b"\r\n" for part in parts) + b"--frontier--\r\n"
    return body, "multipart/form-data; boundary=frontier"


def send(visitor: Visitor, fields: dict[str, str], photos: list[bytes]) -> tuple[int, Any]:
    body, kind = form(fields, photos)
    answer = visitor.ask("POST", "/api/people", body, Content_Type=kind)
    return answer.status, answer.json()


def test_a_person_is_enrolled_and_removed_over_the_wire(
    config: DeviceConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    faces = rendered_faces()
    good = [jpeg(photo_of(faces[0], seed=seed)) for seed in (1, 2)]
    fields = {"name": "--Zoë O'Hara", "consent_by": "Zoë"}
    with served(config=config) as visitor:
        status, said = send(visitor, fields, good)
        assert status == 201, said
        assert "--Zoë O'Hara is u0001, with 2 photos" in said["said"]
        assert names(config) == ["--Zoë O'Hara"]
        assert visitor.device.asked == ["reload"]
        status, said = send(visitor, fields, [b"not a picture"])
        assert status == 422
        assert said["error"].startswith("0.jpg: not a picture")
        assert send(visitor, fields, [])[0] == 422
        assert send(visitor, {**fields, "consent_by": ""}, good)[0] == 422
        assert visitor.ask("DELETE", "/api/people/u0001").status == 201
        assert names(config) == []
        assert visitor.ask("DELETE", "/api/people/u0001").status == 422
        assert visitor.device.asked == ["reload", "reload"]
    assert list(tmp_path.iterdir()) == []


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_refused_photo_leaves_the_others(config: DeviceConfig) -> None:
    face = rendered_faces()[1]
    good = Photo("good.jpg", jpeg(photo_of(face)))
    bad = [Photo(name, content) for name, content, _ in bad_files(face)][:2]
    handles = open_files()
    outcome = enrol(config, "Berta", "Berta", [*bad, good])
    assert outcome.done
    assert outcome.exit_code == InputError.exit_code
    assert all(photo.name in outcome.said for photo in bad)
    assert "/proc/" not in outcome.said
    assert open_files() == handles
    assert "Berta" in names(config)
    assert remove(config, "Berta").done
    assert not remove(config, "Berta").done


def test_consent_ends_on_the_day_that_was_given(config: DeviceConfig) -> None:
    photo = jpeg(photo_of(rendered_faces()[5]))
    fields = {"name": "Dora", "consent_by": "Dora", "expires": "soon"}
    with served(config=config) as visitor:
        status, said = send(visitor, fields, [photo])
        assert status == 422
        assert "'soon' is no date" in said["error"]
        assert send(visitor, {**fields, "expires": "2090-06-01"}, [photo])[0] == 201
    with open_store(Path(config.gallery.path)) as store:
        consent = store.find("Dora").consent
    assert consent is not None
    assert consent.expires is not None
    assert consent.expires.astimezone().date().isoformat() == "2090-06-01"


def test_a_refused_face_is_shown(config: DeviceConfig) -> None:
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("there is no /dev/shm: pictures of refused photos are left out")
    face = rendered_faces()[3]
    (nobody,) = [content for name, content, _ in bad_files(face) if name == "nobody.jpg"]
    before = sorted(Path("/dev/shm").iterdir())
    with served(config=config) as visitor:
        fields = {"name": "Cleo", "consent_by": "Cleo"}
        status, said = send(visitor, fields, [nobody])
        assert status == 422
        (seen,) = said["seen"]
        assert seen["name"] == "0.jpg"
        assert base64.b64decode(seen["png"]).startswith(b"\x89PNG")
        status, said = send(visitor, fields, [nobody, jpeg(photo_of(face))])
        assert status == 201
        assert [shown["name"] for shown in said["seen"]] == ["0.jpg"]
    assert sorted(Path("/dev/shm").iterdir()) == before


def test_the_sample_that_ships_is_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert own_gallery(DeviceConfig()) == tmp_path / "people.gallery"
    given = replace(DeviceConfig(), gallery=GallerySettings(path=str(sample_gallery_path())))
    assert own_gallery(given) == tmp_path / "people.gallery"


def test_an_encrypted_gallery_is_opened_with_the_key_of_the_configuration(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="needs: pip install 'earsight[update]'")
    key, gallery = tmp_path / "key", tmp_path / "people.gallery"
    photos = [Photo("ada.jpg", jpeg(photo_of(rendered_faces()[2])))]
    key.write_text("0123456789abcdef" * 4)
    key.chmod(0o600)
    plain = DeviceConfig(gallery=GallerySettings(path=str(gallery)))
    assert enrol(plain, "Ada", "Ada", photos).done
    assert cli.main(["people", "encrypt", "--gallery", str(gallery), "--key-file", str(key)]) == 0
    assert "is encrypted" in enrol(plain, "Berta", "Berta", photos).said
    secret = DeviceConfig(gallery=GallerySettings(path=str(gallery), key_file=str(key)))
    outcome = enrol(secret, "Berta", "Berta", photos)
    assert outcome.done, outcome.said


def test_no_photo_is_no_enrolment(config: DeviceConfig) -> None:
    with pytest.raises(InputError, match="no photo"):
        enrol(config, "Ada", "Ada", [])
