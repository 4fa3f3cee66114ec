"""The face detector: boxes, suppression, tiles, and the contract with its bundle."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import Bundle, load_bundle
from edge.errors import BundleError
from edge.face.detect import Box, FaceDetector
from edge.face.pose import FEATURES, PoseMaps, first_guess, refine, targets, unpack_maps
from edge.face.subject import open_detector, open_pose_maps
from edge.types import UInt8

pytest.importorskip("PIL")
from PIL import Image

from edge.face.align import Head
from tests.faces import detecting_bundle, photo_of, rendered_faces


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return detecting_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def detector(bundle: Bundle) -> FaceDetector:
    found = open_detector(bundle)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def faces() -> list[UInt8]:
    return rendered_faces()


@pytest.mark.parametrize("size", [(480, 360), (300, 500), (1600, 300), (130, 130)])
def test_one_box_lies_on_the_face(
    detector: FaceDetector, faces: list[UInt8], size: tuple[int, int]
) -> None:
    for number, face in enumerate(faces[:6]):
        side = int(0.6 * min(size))
        picture = np.asarray(photo_of(face, size, 0.6, number))
        (box,) = detector.detect(picture)
        assert 0.4 * side < box.height < 0.9 * side
        assert 0.4 < box.width / box.height < 1.3


def test_nobody_is_found_where_nobody_is(detector: FaceDetector) -> None:
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (300, 400, 3), np.uint8)
    assert detector.detect(noise) == ()
    assert detector.detect(np.full((300, 400, 3), 128, np.uint8)) == ()
    gradient = np.broadcast_to(np.linspace(0, 255, 400).astype(np.uint8)[:, None], (300, 400, 3))
    assert detector.detect(np.ascontiguousarray(gradient)) == ()


def test_a_face_that_is_tiny_in_a_large_picture_is_found_in_a_part_of_it(
    detector: FaceDetector, faces: list[UInt8]
) -> None:
    picture = np.full((1500, 2000, 3), 110, np.uint8)
    picture[1210:1290, 1710:1790] = np.asarray(Image.fromarray(faces[1]).resize((80, 80)))
    (box,) = detector.detect(picture)
    assert 1710 < box.left < box.right < 1790
    assert 1210 < box.top < box.bottom < 1290


def test_faces_come_largest_first(detector: FaceDetector, faces: list[UInt8]) -> None:
    picture = np.full((400, 600, 3), 120, np.uint8)
    picture[20:120, 20:120] = np.asarray(Image.fromarray(faces[0]).resize((100, 100)))
    picture[100:350, 300:550] = np.asarray(Image.fromarray(faces[2]).resize((250, 250)))
    large, small = detector.detect(picture)
    assert large.height > 1.5 * small.height
    assert large.left > 300 > small.right


def test_overlap() -> None:
    box = Box(0, 0, 10, 10, 1.0)
    assert box.overlap(box) == 1.0
    assert box.overlap(Box(5, 0, 15, 10, 1.0)) == pytest.approx(1 / 3)
    assert box.overlap(Box(10, 0, 20, 10, 1.0)) == 0.0


def test_targets_and_moves_are_inverse() -> None:
    guess, true = Head(100, 90, 80, roll=10.0), Head(108, 84, 90, 20.0, -8.0, 25.0)
    maps = np.zeros((1, FEATURES + 1, 6), np.float32)
    maps[0, -1] = targets(true, guess)  # whatever is seen, say that
    found = refine(np.zeros((200, 200, 3), np.uint8), guess, PoseMaps(maps))
    for name in ("eyes_x", "eyes_y", "crown_to_chin", "yaw", "pitch", "roll"):
        assert getattr(found, name) == pytest.approx(getattr(true, name), abs=1e-3)


def test_pose_maps_bring_a_box_nearer_to_the_face(
    bundle: Bundle, detector: FaceDetector, faces: list[UInt8]
) -> None:
    maps, info = open_pose_maps(bundle), bundle.manifest.face_detector
    assert maps is not None
    assert info is not None
    alignment = bundle.manifest.face_alignment
    before, after = [], []
    for face in faces:
        canvas = np.pad(face, ((100, 100), (150, 150), (0, 0)), mode="edge")
        guess = first_guess(detector.detect(canvas)[0], info)
        eyes = (150 + 112 * alignment.eyes_x, 100 + 112 * alignment.eyes_y)
        head = refine(canvas, guess, maps)
        before.append(np.hypot(guess.eyes_x - eyes[0], guess.eyes_y - eyes[1]))
        after.append(np.hypot(head.eyes_x - eyes[0], head.eyes_y - eyes[1]))
        assert abs(head.roll) < 12
        assert abs(head.yaw) < 20
    assert np.mean(after) < 0.8 * np.mean(before)


def test_damaged_pose_maps_are_the_bundle_s_fault(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", maps=np.zeros((2, 5, 6), np.float32))
    for content in (b"", b"PK\x03\x04 nonsense", (tmp_path / "a.npz").read_bytes()):
        with pytest.raises(BundleError, match="pose maps"):
            unpack_maps(content, "x")


def test_the_manifest_is_held_to_the_detector(bundle: Bundle, tmp_path: Path) -> None:
    def change(section: str, key: str, value: object) -> str:
        folder = tmp_path / "changed.bundle"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(bundle.path, folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        if key:
            manifest[section][key] = value
        else:
            del manifest[section]
        (folder / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(BundleError) as caught:
            load_bundle(folder)
        return str(caught.value)

    assert "go together" in change("face_detector", "", None)
    assert "boxes" in change("face_detector", "anchors", [[10], [32], [64], [128]])
    assert "go together" in change("face_detector", "strides", [8])
    assert "std be positive" in change("face_detector", "std", 0.0)


def test_a_bundle_without_a_detector_says_so(bundle: Bundle) -> None:
    bare = Bundle(bundle.path, replace(bundle.manifest, face_detector=None, files={}))
    assert open_detector(bare) is None
    assert open_pose_maps(bare) is None
