"""Photos for enrolment: modes, framing, refusals."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import numpy as np
import pytest

from edge.errors import InputError
from edge.face import photo
from edge.face.photo import WORKING, centre_face, decode_picture, read_file, to_png
from edge.types import UInt8
from tests.faces import hollow_png

pytest.importorskip("PIL")
from PIL import Image

RED, GREEN = (200, 30, 20), (20, 160, 40)


def load_face(path: Path) -> UInt8:
    return centre_face(decode_picture(read_file(path), str(path)))


def two_halves(size: tuple[int, int] = (256, 256)) -> Image.Image:
    """Return red above green."""
    image = Image.new("RGB", size, GREEN)
    image.paste(RED, (0, 0, size[0], size[1] // 2))
    return image


def is_like(pixels: np.ndarray, colour: tuple[int, int, int], within: int = 12) -> bool:
    return bool(np.abs(pixels.reshape(-1, 3).mean(axis=0) - colour).max() <= within)


def test_the_central_part_of_the_centred_square(tmp_path: Path) -> None:
    wide = Image.new("RGB", (512, 256), "blue")
    square = np.zeros((256, 256, 3), np.uint8)
    square[..., 0] = np.arange(256)[None, :]
    wide.paste(Image.fromarray(square), (128, 0))
    wide.save(tmp_path / "a.png")
    face = load_face(tmp_path / "a.png")
    assert face.shape == (112, 112, 3)
    assert face.dtype == np.uint8
    assert face[..., 2].max() == 0
    np.testing.assert_allclose(face[50, :, 0], 2 * (np.arange(112) + 8) + 0.5, atol=1)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "YCbCr", "LAB"])
def test_colour_modes(tmp_path: Path, mode: str) -> None:
    suffix = "png" if mode in ("RGB", "RGBA", "P") else "tiff"
    grey = Image.new("LAB", (256, 256), (128, 128, 128))
    image = grey if mode == "LAB" else two_halves().convert(mode)
    image.save(tmp_path / f"a.{suffix}")
    face = load_face(tmp_path / f"a.{suffix}")
    assert face.shape == (112, 112, 3)
    if mode != "LAB":
        assert is_like(face[:40], RED)
        assert is_like(face[72:], GREEN)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((128, 128), 32768, np.uint16)).save(tmp_path / "a.png")
    assert is_like(load_face(tmp_path / "a.png"), (127, 127, 127), within=1)


def test_black_and_white_and_grey(tmp_path: Path) -> None:
    Image.new("1", (128, 128), 1).save(tmp_path / "1.png")
    Image.new("L", (128, 128), 77).save(tmp_path / "l.png")
    Image.new("LA", (128, 128), (77, 255)).save(tmp_path / "la.png")
    assert is_like(load_face(tmp_path / "1.png"), (255, 255, 255), 0)
    assert is_like(load_face(tmp_path / "l.png"), (77, 77, 77), 0)
    assert is_like(load_face(tmp_path / "la.png"), (77, 77, 77), 0)


def test_transparency_is_white(tmp_path: Path) -> None:
    Image.new("RGBA", (128, 128), (0, 0, 0, 0)).save(tmp_path / "a.png")
    assert is_like(load_face(tmp_path / "a.png"), (255, 255, 255), 0)


def test_exif_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    two_halves().save(tmp_path / "a.jpg", exif=exif)
    face = load_face(tmp_path / "a.jpg")
    assert is_like(face[:40], GREEN)


def test_an_animation_gives_its_first_picture(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (128, 128), colour) for colour in (RED, GREEN)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert is_like(load_face(tmp_path / "a.gif"), RED)


def test_png_round_trip() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    with Image.open(io.BytesIO(to_png(pixels))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_what_cannot_be_used_is_refused_in_one_line(tmp_path: Path) -> None:
    two_halves().save(tmp_path / "good.jpg")
    good = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(good[: len(good) // 2])
    two_halves().save(tmp_path / "good.png")
    good = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(good[: len(good) // 2])
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "bomb.png").write_bytes(hollow_png(9000, 9000))
    (tmp_path / "huge.png").write_bytes(hollow_png(2**30, 2**30))
    (tmp_path / "hollow.png").write_bytes(hollow_png(200, 200))
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    (tmp_path / "post.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n")
    two_halves((40, 400)).save(tmp_path / "thin.png")
    os.mkfifo(tmp_path / "pipe.png")
    expected = {
        "nope.jpg": "no such file",
        ".": "not a regular file",
        "pipe.png": "not a regular file",
        "cut.jpg": "truncated",
        "cut.png": "truncated",
        "hollow.png": "truncated",
        "text.jpg": "not a picture",
        "empty.jpg": "not a picture",
        "post.jpg": "not a picture",
        "phone.heic": "save it as JPEG",
        "bomb.png": "50 million pixels",
        "huge.png": "50 million pixels",
        "thin.png": "64 or more",
    }
    for name, word in expected.items():
        with pytest.raises(InputError) as caught:
            load_face(tmp_path / name)
        assert word in str(caught.value), name
        assert "\n" not in str(caught.value), name


def test_hostile_bytes_never_escape_as_another_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    path = tmp_path / "x"
    for suffix in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        buffer = io.BytesIO()
        two_halves((80, 80)).save(buffer, suffix)
        for _ in range(25):
            content = np.frombuffer(buffer.getvalue(), np.uint8).copy()
            content[rng.integers(0, len(content), 6)] = rng.integers(0, 256, 6)
            path.write_bytes(content.tobytes())
            with contextlib.suppress(InputError):
                assert load_face(path).shape == (112, 112, 3)


def test_a_large_photo_is_made_small_while_it_is_decoded(tmp_path: Path) -> None:
    Image.new("L", (9600, 7200), 90).save(tmp_path / "a.jpg")  # 69 million pixels
    picture = decode_picture(read_file(tmp_path / "a.jpg"), "a")
    assert WORKING // 2 <= max(picture.shape) <= WORKING
    assert is_like(picture, (90, 90, 90), 1)


def test_a_large_progressive_photo_is_refused(tmp_path: Path) -> None:
    Image.new("L", (9600, 7200), 90).save(tmp_path / "a.jpg", progressive=True)
    with pytest.raises(InputError, match="50 million pixels"):
        decode_picture(read_file(tmp_path / "a.jpg"), "a")


def test_a_sideways_photo_is_turned_before_it_is_used(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn clockwise
    two_halves((200, 100)).save(tmp_path / "a.jpg", exif=exif)
    picture = decode_picture(read_file(tmp_path / "a.jpg"), "a")
    assert picture.shape == (200, 100, 3)
    assert is_like(picture[:, 60:], RED)


def test_a_file_too_large_to_be_a_photo_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(photo.LARGEST_FILE + 5)
    with pytest.raises(InputError, match="100 MB"):
        read_file(tmp_path / "a.jpg")


def test_the_frame_is_stated_as_the_training_photos_had_it() -> None:
    assert photo.FRAME - 2 * photo.MARGIN == 112
