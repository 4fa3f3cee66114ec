"""The contract: what it keeps, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import Bundle, load_bundle, manifest_json, write_bundle
from edge.errors import BundleError, StorageError

DATA = Path(__file__).parent / "data"
TINY = DATA / "tiny.bundle"
BAD = sorted(p.name for p in (DATA / "bad_bundles").iterdir())
OPENED = [name for name in BAD if name.startswith("open_")]


@pytest.fixture
def contents() -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in TINY.iterdir() if p.name != "manifest.json"}


def test_reads_what_it_wrote_byte_for_byte(tmp_path: Path, contents: dict[str, bytes]) -> None:
    bundle = load_bundle(TINY)
    again = write_bundle(tmp_path / "again.bundle", bundle.manifest, contents)
    assert again.manifest == bundle.manifest
    assert manifest_json(again.manifest) == (TINY / "manifest.json").read_text()
    assert load_bundle(again.path).manifest == bundle.manifest


@pytest.mark.parametrize("name", [n for n in BAD if n not in OPENED])
def test_refuses_and_names_the_field(name: str) -> None:
    folder = DATA / "bad_bundles" / name
    with pytest.raises(BundleError) as refusal:
        load_bundle(folder)
    message = str(refusal.value)
    assert (folder / "expected.txt").read_text().strip() in message
    assert "\n" not in message


@pytest.mark.parametrize("name", OPENED)
def test_refuses_models_that_disagree_with_the_manifest(name: str) -> None:
    pytest.importorskip("PIL", reason="the [device] extra is not installed")
    folder = DATA / "bad_bundles" / name
    bundle = load_bundle(folder)
    with pytest.raises(BundleError) as refusal:
        bundle.open("voice_encoder")
    assert (folder / "expected.txt").read_text().strip() in str(refusal.value)


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not a bundle"):
        load_bundle(tmp_path)


def test_a_failed_write_leaves_the_old_bundle(tmp_path: Path, contents: dict[str, bytes]) -> None:
    path = tmp_path / "x.bundle"
    manifest = load_bundle(TINY).manifest
    write_bundle(path, manifest, contents)
    damaged = {**contents, "voice_encoder.tflite": b"not it"}
    with pytest.raises(BundleError):
        write_bundle(path, manifest, damaged)
    assert load_bundle(path).manifest == manifest
    assert [p.name for p in tmp_path.iterdir()] == ["x.bundle"]


def test_replaces_an_older_bundle(tmp_path: Path, contents: dict[str, bytes]) -> None:
    path = tmp_path / "x.bundle"
    path.mkdir()
    (path / "left.over").write_text("old")
    write_bundle(path, load_bundle(TINY).manifest, contents)
    assert not (path / "left.over").exists()


def test_an_unwritable_place(tmp_path: Path, contents: dict[str, bytes]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        write_bundle(tmp_path / "file" / "x.bundle", load_bundle(TINY).manifest, contents)


def test_every_changed_byte_of_a_model_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "x.bundle"
    shutil.copytree(TINY, folder)
    model = folder / "face_encoder.tflite"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(BundleError, match=r"models\.face_encoder\.files\.cpu\.sha256"):
        load_bundle(folder)


def test_opens_and_runs_every_model() -> None:
    pytest.importorskip("PIL", reason="the [device] extra is not installed")
    bundle: Bundle = load_bundle(TINY)
    for name in bundle.manifest.models:
        model = bundle.open(name)
        ((given, info),) = model.inputs.items()
        outputs = model.run(**{given: np.zeros(info.shape, info.dtype)})
        assert {k: v.shape for k, v in outputs.items()} == {
            k: v.shape for k, v in model.outputs.items()
        }


def test_the_manifest_is_stable_json() -> None:
    text = (TINY / "manifest.json").read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
