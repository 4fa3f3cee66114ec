"""Photos of rendered people, good and bad, and a bundle that can find faces in them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from convert.detection.shipped import shipped_detector
from edge.bundle import Bundle, default_bundle_path, load_bundle, write_bundle
from edge.face.gallery import sample_gallery_path
from edge.face.gallery_file import load_gallery
from edge.manifest import file_info
from edge.types import UInt8

SHARE = 0.55  # side of the rendered face, share of the photo's shorter side


def detecting_bundle(folder: Path) -> Bundle:
    """Return the bundle that ships, with the detector that ships if it has none yet."""
    shipped = load_bundle(default_bundle_path())
    if shipped.has("face_detector"):
        return shipped
    detector, manifest = shipped_detector(), shipped.manifest
    names = {
        *(info.file for info in manifest.files.values()),
        *(info.file for model in manifest.models.values() for info in model.files.values()),
    }
    contents = {name: (shipped.path / name).read_bytes() for name in names}
    extra = {Path(name).stem: file_info(name, data) for name, data in detector.files.items()}
    return write_bundle(
        folder / "detecting.bundle",
        replace(
            manifest,
            models={**manifest.models, "face_detector": detector.model},
            face_detector=detector.info,
            files={**manifest.files, **extra},
        ),
        {**contents, **detector.files, detector.path.name: detector.path.read_bytes()},
    )


def rendered_faces() -> list[UInt8]:
    """Return the faces (112, 112, 3) of the sample gallery's synthetic people."""
    people = load_gallery(sample_gallery_path()).people
    return [
        np.asarray(Image.open(io.BytesIO(person.thumbnail)).convert("RGB")) for person in people
    ]


def photo_of(
    face: UInt8, size: tuple[int, int] = (480, 360), share: float = SHARE, seed: int = 0
) -> Image.Image:
    """Return a photo in which the face is somewhere, before its own background, a little noisy."""
    rng = np.random.default_rng([seed, 17])
    width, height = size
    side = int(share * min(size))
    left = int(rng.integers(0, width - side + 1))
    top = int(rng.integers(0, height - side + 1))
    head = np.asarray(Image.fromarray(face).resize((side, side), Image.Resampling.LANCZOS))
    rows = np.clip(np.arange(height) - top, 0, side - 1)
    columns = np.clip(np.arange(width) - left, 0, side - 1)
    canvas = head[rows][:, columns].astype(np.int16)
    ground = head[0].mean(axis=0).astype(np.int16)
    canvas[:, :left], canvas[:, left + side :] = ground, ground
    canvas += rng.integers(-5, 6, canvas.shape, np.int8)
    return Image.fromarray(canvas.clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int = 88, **options: object) -> bytes:
    """Return the image as a JPEG file."""
    return encoded(image, "JPEG", quality=quality, **options)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return the image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def hollow_png(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds next to nothing."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\x00\x00\x00\x00IDAT" + struct.pack(">I", 0x35AF061E)


def bad_files(face: UInt8) -> Iterator[tuple[str, bytes, str]]:
    """Yield (name, content, a word of the reason) of files that must be refused."""
    good = jpeg(photo_of(face))
    grey = Image.new("RGB", (480, 360), (120, 120, 120))
    two = np.concatenate([np.asarray(photo_of(face, (240, 360)))] * 2, axis=1)
    yield "cut.jpg", good[: len(good) // 3], "truncated"
    yield "flipped.png", _flipped(encoded(photo_of(face), "PNG")), "damaged"
    yield "text.jpg", b"not a picture at all", "not a picture"
    yield "empty.jpg", b"", "not a picture"
    yield "bomb.png", hollow_png(12_000, 12_000), "million pixels"
    yield "huge.png", hollow_png(2**30, 2**30), "million pixels"
    yield "hollow.png", hollow_png(300, 300), "truncated"
    yield "post.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"
    yield "phone.heic", b"\0\0\0\x18ftypheic" + bytes(64), "HEIC"
    yield "nobody.jpg", jpeg(grey), "no face"
    yield "two.jpg", jpeg(Image.fromarray(two)), "2 faces"
    yield "tiny.jpg", jpeg(photo_of(face, share=0.11)), "too small"
    yield "blurred.jpg", jpeg(_blurred(photo_of(face))), "blurred"
    yield "thin.png", encoded(Image.new("RGB", (40, 400)), "PNG"), "64 or more"


def _flipped(content: bytes) -> bytes:
    """Return a PNG one of whose bytes, in the picture's data, is another one."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def _blurred(image: Image.Image) -> Image.Image:
    from PIL import ImageFilter

    return image.filter(ImageFilter.GaussianBlur(4))
