"""Adopting a detector, fitting pose maps, measuring: the converter's side of finding faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convert.detection.labelled import measure_labelled
from convert.detection.measure import measure
from convert.detection.scenes import PoseRange, SceneRange, draw_scenes
from convert.detection.shapes import fix_shapes
from convert.detection.shipped import MODEL, shipped_detector, shipped_model
from edge.bundle import default_bundle_path
from edge.errors import InputError
from edge.face.pose import FEATURES, unpack_maps
from edge.face.subject import open_detector
from tests.faces import detecting_bundle, jpeg, photo_of, rendered_faces


def test_adopting_is_what_made_the_shipped_file(shared: Path) -> None:
    source = shared / "data" / "weights" / "ultralight_face_slim_320.tflite"
    assert fix_shapes(source.read_bytes()) == MODEL.read_bytes()


def test_an_adopted_model_keeps_its_shapes() -> None:
    info = shipped_model()
    boxes = info.outputs["boxes"].shape[1]
    assert info.outputs["scores"].shape == (1, boxes, 2)
    assert shipped_detector().info.count(320, 240) == boxes
    assert set(info.operators).isdisjoint({"SHAPE", "PACK", "STRIDED_SLICE"})


def test_other_models_are_not_adopted() -> None:
    encoder = default_bundle_path() / "face_encoder.tflite"
    with pytest.raises(InputError, match="not a face detector"):
        fix_shapes(encoder.read_bytes())


def test_the_shipped_maps_have_two_steps() -> None:
    maps = unpack_maps(shipped_detector().files["face_pose.npz"], "shipped").maps
    assert maps.shape == (2, FEATURES + 1, 6)


def test_labelled_photos_are_counted(tmp_path: Path) -> None:
    detector = open_detector(detecting_bundle(tmp_path))
    assert detector is not None
    lines = ["file,left,top,right,bottom"]
    for number, face in enumerate(rendered_faces()[:4]):
        photo = photo_of(face, seed=number)
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(photo))
        (box,) = detector.detect(np.asarray(photo))
        sides = (box.left + 3, box.top - 3, box.right + 3, box.bottom)
        lines.append(f"{number}.jpg," + ",".join(f"{side:.0f}" for side in sides))
    lines.append("3.jpg,0,0,9,9")  # a face that nobody can find
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    assert "4 of 5 faces found (80.0 %)" in measure_labelled(tmp_path, detector)
    assert "No labelled" in measure_labelled(None, detector)
    (tmp_path / "labels.csv").write_text("file,left\n0.jpg,x\n")
    with pytest.raises(InputError, match=r"labels\.csv"):
        measure_labelled(tmp_path, detector)


def test_scenes_are_the_same_for_any_number_of_workers(shared: Path) -> None:
    pytest.importorskip("numba")
    span = SceneRange(PoseRange(40.0, 20.0, 20.0), True, 96, 0.4, 0.9)
    geometry = shared / "data" / "makehuman" / "slim_z.npz"
    first, second = draw_scenes(span, 2, geometry, 5, 1)
    (again,) = draw_scenes(span, 1, geometry, 5, 1)
    np.testing.assert_array_equal(first.picture, again.picture)
    assert first.head == again.head != second.head
    assert first.picture.shape == (96, 96, 3)
    assert abs(first.head.yaw) <= 40


def test_rendered_heads_are_found_and_framed(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("numba")
    geometry = shared / "data" / "makehuman" / "slim_z.npz"
    report = measure(detecting_bundle(tmp_path), geometry, None, 24, 1)
    (line,) = [row for row in report.splitlines() if row.startswith("| within the stated")]
    assert line.endswith("| 100.0 % |")
    (eyes,) = [row for row in report.splitlines() if row.startswith("| eyes, across")]
    box, refined = (float(cell) for cell in eyes.split("|")[2:4])
    assert refined < box
