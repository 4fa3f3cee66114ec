"""Photos and recordings to samples: what is found, refused, advised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge.bundle import Bundle, default_bundle_path, load_bundle
from edge.errors import InputError
from edge.face.align import Head, align, cut
from edge.face.annotate import REFUSED, annotate
from edge.face.detect import Box
from edge.face.photo import decode_picture
from edge.face.quality import faults, quality, sharpness
from edge.face.subject import SubjectFinder
from edge.people.advice import advise
from edge.people.enrolment import EnrolledPhoto, PhotoEnroller, PhotoError
from edge.people.person import source_digest
from edge.people.voice_search import KnownVoice, rank_voices
from edge.types import UInt8

pytest.importorskip("PIL")
from PIL import Image, ImageOps

from tests.faces import bad_files, detecting_bundle, encoded, jpeg, photo_of, rendered_faces


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return detecting_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def enroller(bundle: Bundle) -> PhotoEnroller:
    return PhotoEnroller(bundle)


@pytest.fixture(scope="module")
def faces() -> list[UInt8]:
    return rendered_faces()


def test_every_rendered_person_is_found_and_known_again(
    enroller: PhotoEnroller, faces: list[UInt8]
) -> None:
    known = np.array([photo.sample.embedding for photo in _photos(enroller, faces, seed=1)])
    again = np.array([photo.sample.embedding for photo in _photos(enroller, faces, seed=2)])
    best = (again @ known.T).argmax(axis=1)
    assert (best == np.arange(len(faces))).mean() > 0.85


def test_a_sample_is_complete(enroller: PhotoEnroller, faces: list[UInt8]) -> None:
    content = jpeg(photo_of(faces[0]))
    photo = enroller.enroll(content, "a.jpg")
    assert photo.crop.shape == (112, 112, 3)
    assert photo.sample.digest == source_digest(content)
    assert abs(float(np.linalg.norm(photo.sample.embedding)) - 1) < 1e-5
    assert 0.5 < photo.sample.quality <= 1.0
    np.testing.assert_array_equal(decode_picture(photo.sample.crop, "crop"), photo.crop)


@pytest.mark.parametrize("kind", ["CMYK", "L", "RGBA", "16 bit", "sideways", "animated"])
def test_any_ordinary_file_gives_the_same_person(
    enroller: PhotoEnroller, faces: list[UInt8], kind: str
) -> None:
    image = photo_of(faces[3])
    usual = enroller.enroll(encoded(image, "PNG"), "usual").sample.embedding
    content = {
        "CMYK": lambda: encoded(image.convert("CMYK"), "JPEG", quality=95),
        "L": lambda: encoded(image.convert("L"), "PNG"),
        "RGBA": lambda: encoded(image.convert("RGBA"), "PNG"),
        "16 bit": lambda: encoded(_sixteen_bit(image), "PNG"),
        "sideways": lambda: _sideways(image),
        "animated": lambda: encoded(
            image, "GIF", save_all=True, append_images=[Image.new("RGB", image.size)]
        ),
    }[kind]()
    found = enroller.enroll(content, kind).sample.embedding
    assert float(found @ usual) > (0.5 if kind in ("L", "16 bit") else 0.9)


def test_bad_files_are_refused_with_their_reason(
    enroller: PhotoEnroller, faces: list[UInt8]
) -> None:
    for name, content, word in bad_files(faces[0]):
        with pytest.raises(InputError) as caught:
            enroller.enroll(content, name)
        reason = str(caught.value).removeprefix(f"{name}: ")
        assert word in reason, f"{name}: {reason}"
        assert "\n" not in reason


def test_a_refusal_shows_what_was_seen(enroller: PhotoEnroller, faces: list[UInt8]) -> None:
    two = {name: content for name, content, _ in bad_files(faces[0])}["two.jpg"]
    with pytest.raises(PhotoError) as caught:
        enroller.enroll(two, "two.jpg")
    seen = decode_picture(caught.value.seen, "seen")
    assert seen.shape[1] == 480
    assert seen.shape[0] > 360  # the reason is written below
    red = np.abs(seen.astype(int) - REFUSED).max(axis=2) < 8
    assert red[:, :240].sum() > 100
    assert red[:, 240:].sum() > 100


def test_a_small_face_in_the_background_is_no_second_person(
    enroller: PhotoEnroller, faces: list[UInt8]
) -> None:
    picture = np.asarray(photo_of(faces[0], (480, 480), 0.7)).copy()
    small = np.asarray(Image.fromarray(faces[5]).resize((90, 90)))
    picture[:90, :90] = small
    assert enroller.enroll(encoded(Image.fromarray(picture), "PNG"), "a").sample.quality > 0


def test_faces_turned_too_far_are_refused(faces: list[UInt8]) -> None:
    head = Head(100, 100, 120)
    crop = faces[0]
    assert list(faults(crop, head)) == []
    for change, word in (
        ({"yaw": -50.0}, "turned 50"),
        ({"pitch": 40.0}, "looks 40° down"),
        ({"pitch": -40.0}, "looks 40° up"),
        ({"roll": 60.0}, "tilted by 60"),
        ({"crown_to_chin": 30.0}, "too small"),
    ):
        assert word in next(faults(crop, replace(head, **change)))
    assert "too dark" in next(faults(crop // 8, head))
    assert "too bright" in next(faults(np.full_like(crop, 250), head))
    assert "contrast" in next(faults(np.full_like(crop, 128), head))


def test_quality_falls_with_size_pose_and_detail(faces: list[UInt8]) -> None:
    head = Head(100, 100, 150)
    best = quality(faces[0], head, 1.0)
    assert 0.8 < best <= 1.0
    assert quality(faces[0], replace(head, crown_to_chin=50.0), 1.0) < best
    assert quality(faces[0], replace(head, yaw=35.0), 1.0) < best
    soft = np.asarray(Image.fromarray(faces[0]).resize((28, 28)).resize((112, 112)))
    assert sharpness(soft) < sharpness(faces[0])
    assert quality(soft, head, 1.0) < best


def test_cutting_turns_a_head_upright() -> None:
    picture = np.zeros((200, 200, 3), np.uint8)
    picture[:, 95:105] = 255  # a pole
    leaning = np.asarray(Image.fromarray(picture).rotate(20, Image.Resampling.BICUBIC))
    upright = cut(leaning, 100, 100, 80, 20.0, 64)
    np.testing.assert_allclose(upright, cut(picture, 100, 100, 80, 0.0, 64), atol=60)
    assert upright[4, 32].min() > 200
    assert upright[60, 32].min() > 200


def test_what_lies_beyond_the_picture_is_its_border() -> None:
    picture = np.full((50, 60, 3), 90, np.uint8)
    assert (cut(picture, 0, 0, 100, 0.0, 32) == 90).all()
    assert (cut(picture, 59, 49, 100, 30.0, 32) == 90).all()


def test_aligning_undoes_place_size_and_tilt(bundle: Bundle, faces: list[UInt8]) -> None:
    alignment = bundle.manifest.face_alignment
    side = len(faces[0])
    head = Head(alignment.eyes_x * side, alignment.eyes_y * side, alignment.crown_to_chin * side)
    np.testing.assert_array_equal(align(faces[0], head, alignment, side), faces[0])
    large = np.asarray(Image.fromarray(faces[0]).resize((336, 336), Image.Resampling.BICUBIC))
    there = Head(3 * head.eyes_x, 3 * head.eyes_y, 3 * head.crown_to_chin)
    back = align(large, there, alignment, side)
    assert np.abs(back.astype(int) - faces[0]).mean() < 3


def test_without_a_detector_the_middle_is_taken() -> None:
    shipped = load_bundle(default_bundle_path())
    bare = Bundle(shipped.path, replace(shipped.manifest, face_detector=None))
    finder = SubjectFinder(bare)
    assert not finder.detects
    subject = finder.find(np.zeros((300, 200, 3), np.uint8))
    assert subject.crop.shape == (112, 112, 3)
    assert (subject.quality, subject.boxes) == (1.0, ())


def test_advice_names_repeated_photos(enroller: PhotoEnroller, faces: list[UInt8]) -> None:
    photos = _photos(enroller, [faces[0]] * 2, seed=1)
    same = [replace(photos[0], name="copy")]
    lines = list(advise([photos[0], *same]))
    assert "copy is the same file as 0.jpg" in lines
    assert any("1 photo:" in line for line in lines)


def test_advice_compares_with_the_photos_a_person_has(
    enroller: PhotoEnroller, faces: list[UInt8]
) -> None:
    first, again, *others = _photos(enroller, [faces[0], faces[0], *faces[1:4]], seed=1)
    known = [replace(first, name="enrolled photo 1"), *others]
    lines = list(advise([again], known))
    assert any(line.startswith(f"{again.name} shows nearly the same as enrolled") for line in lines)
    assert not any("3 or more" in line for line in lines)
    assert not any(other.name in line for line in lines for other in others)


def test_advice_names_a_stranger() -> None:
    def photo(name: str, direction: int) -> EnrolledPhoto:
        vector = np.zeros(8, np.float32)
        vector[direction] = 1.0
        crop = np.random.default_rng(len(name)).integers(0, 256, (112, 112, 3), np.uint8)
        crop[: 10 * len(name)] = 0
        return EnrolledPhoto(name, replace(_blank(name), embedding=vector), crop)

    lines = list(advise([photo("a", 0), photo("bb", 0), photo("ccc", 1)]))
    assert lines == ["ccc looks unlike the other photos: is it the same person?"]


def test_voices_are_ranked_for_a_face() -> None:
    axes = np.eye(3, dtype=np.float32)
    voices = [KnownVoice(f"v{i}", "", axis) for i, axis in enumerate(axes)]
    ranked = rank_voices(np.array([0.6, 0.8, 0.0], np.float32), voices, top=2)
    assert [(m.rank, m.voice.who) for m in ranked] == [(1, "v1"), (2, "v0")]
    assert rank_voices(axes[0], [], top=2) == ()


def test_a_picture_without_faces_is_annotated_all_the_same() -> None:
    picture = np.full((100, 900, 3), 200, np.uint8)
    seen = decode_picture(
        annotate(picture, (Box(1, 2, 30, 40, 0.9),), "a\N{HEAVY CHECK MARK}b", True), "x"
    )
    assert seen.shape[1] == 640


def _photos(enroller: PhotoEnroller, faces: list[UInt8], seed: int) -> list[EnrolledPhoto]:
    return [
        enroller.enroll(jpeg(photo_of(face, seed=seed * 100 + i)), f"{i}.jpg")
        for i, face in enumerate(faces)
    ]


def _blank(name: str) -> object:
    from edge.people.person import Sample

    return Sample("photo", np.zeros(8, np.float32), b"x", source_digest(name.encode()), 1.0)


def _sixteen_bit(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def _sideways(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = image.transpose(Image.Transpose.ROTATE_90)
    assert ImageOps.exif_transpose(turned) is not None
    return encoded(turned, "JPEG", quality=92, exif=exif)
