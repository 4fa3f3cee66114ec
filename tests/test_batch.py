"""A folder of people: complete, the same twice, the same after any interruption."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from edge.bundle import Bundle
from edge.people import photo_workers
from edge.people.batch import Batch, enroll_folder
from edge.people.batch_plan import plan_folder
from edge.people.opening import open_store
from edge.people.person import Sample
from edge.people.photo_workers import read_photos
from edge.types import UInt8

pytest.importorskip("PIL")

from tests.faces import bad_files, detecting_bundle, jpeg, photo_of, rendered_faces

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return detecting_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def faces() -> list[UInt8]:
    return rendered_faces()


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory, faces: list[UInt8]) -> Path:
    """Return a folder of eight people, one of them with every kind of bad file."""
    folder = tmp_path_factory.mktemp("crowd")
    for number, face in enumerate(faces[:6]):
        person = folder / f"Person {number}"
        person.mkdir()
        for shot in range(2):
            photo = jpeg(photo_of(face, seed=10 * number + shot))
            (person / f"{shot}.jpg").write_bytes(photo)
    (folder / "Single.jpg").write_bytes(jpeg(photo_of(faces[7], seed=99)))
    (folder / ".hidden.jpg").write_bytes(b"x")
    (folder / "Empty").mkdir()
    (folder / "Hostile").mkdir()
    for name, content, _ in bad_files(faces[0]):
        (folder / "Hostile" / name).write_bytes(content)
    (folder / "Hostile" / "good.jpg").write_bytes(jpeg(photo_of(faces[8], seed=98)))
    (folder / "Twin").mkdir()
    shutil.copy(folder / "Single.jpg", folder / "Twin" / "copy.jpg")
    return folder


def contents(store: Path) -> dict[str, tuple[str, list[tuple[str, bytes, bytes]]]]:
    with open_store(store) as people:
        return {
            person.name: (
                person.id,
                [(s.digest, s.embedding.tobytes(), s.crop) for s in people.samples(person.id)],
            )
            for person in people.people()
        }


def enroll_all(
    crowd: Path, store: Path, bundle: Bundle, workers: int = 1, stop_after: int = 1000
) -> Batch:
    done = 0

    def progress(people: int, refused: int) -> None:
        nonlocal done
        done += people
        if done >= stop_after:
            raise KeyboardInterrupt

    with open_store(store, bundle.manifest.embedding.space_id) as people:
        log = store.with_suffix(".jsonl")
        return enroll_folder(plan_folder(crowd), people, bundle, log, None, workers, progress)


def test_a_folder_enrols_completely_and_twice_the_same(
    crowd: Path, bundle: Bundle, faces: list[UInt8], tmp_path: Path
) -> None:
    store = tmp_path / "a.gallery"
    batch = enroll_all(crowd, store, bundle, workers=2)
    found = contents(store)
    assert sorted(found) == sorted([*(f"Person {i}" for i in range(6)), "Hostile", "Single"])
    assert (batch.people, batch.photos) == (8, 14)
    reasons = {Path(refused.file).name: refused.reason for refused in batch.refused}
    for name, _, word in bad_files(faces[0]):
        assert word in reasons.pop(name), name
    assert reasons.pop("Empty") == "an empty folder"
    assert "enrolled as" in reasons.pop("copy.jpg")
    assert reasons == {}
    assert (tmp_path / "a.jsonl").stat().st_mode & 0o777 == 0o600
    assert enroll_all(crowd, store, bundle) == batch
    assert contents(store) == found


def test_what_was_stopped_goes_on_to_the_same_gallery(
    crowd: Path, bundle: Bundle, tmp_path: Path
) -> None:
    whole = enroll_all(crowd, tmp_path / "a.gallery", bundle)
    for stop in (1, 3, 6):
        with pytest.raises(KeyboardInterrupt):
            enroll_all(crowd, tmp_path / "b.gallery", bundle, stop_after=stop)
    with (tmp_path / "b.jsonl").open("ab") as log:
        log.write(b'{"name": "torn by a power c')
    assert enroll_all(crowd, tmp_path / "b.gallery", bundle) == whole
    assert contents(tmp_path / "b.gallery") == contents(tmp_path / "a.gallery")


def test_killed_at_random_moments_it_ends_with_the_same_gallery(
    crowd: Path, bundle: Bundle, tmp_path: Path
) -> None:
    enroll_all(crowd, tmp_path / "a.gallery", bundle)
    command = [sys.executable, "-m", "edge", "enroll", "--all", str(crowd), "--workers", "1"]
    command += ["--bundle", str(bundle.path), "--gallery", str(tmp_path / "b.gallery")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    rng = random.Random(3)
    for _ in range(3):
        process = subprocess.Popen(
            command, env=environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            process.wait(rng.uniform(1.0, 4.0))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 6, done.stderr
    assert "8 people with 14 photos are enrolled, 16 files refused" in done.stdout
    assert contents(tmp_path / "b.gallery") == contents(tmp_path / "a.gallery")


def test_new_photos_of_a_folder_are_added(crowd: Path, bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "some"
    folder.mkdir()
    shutil.copytree(crowd / "Person 1", folder / "Ada")
    enroll_all(folder, tmp_path / "a.gallery", bundle)
    shutil.copy(crowd / "Person 2" / "0.jpg", folder / "Ada" / "9.jpg")
    assert enroll_all(folder, tmp_path / "a.gallery", bundle).photos == 3
    assert len(contents(tmp_path / "a.gallery")["Ada"][1]) == 3


def test_a_process_that_dies_loses_no_photo(crowd: Path, bundle: Bundle) -> None:
    paths = sorted((crowd / "Person 0").iterdir()) * 4
    found = []
    with closing(read_photos(paths, bundle.path, workers=1)) as outcomes:
        for number, outcome in enumerate(outcomes):
            found.append(outcome)
            if number == 2:
                for child in _children():
                    os.kill(child, signal.SIGKILL)
    assert [outcome.path for outcome in found] == paths
    assert all(isinstance(outcome.sample, Sample) for outcome in found)


def test_a_photo_that_takes_for_ever_is_given_up(
    crowd: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_workers, "LONGEST_S", 0.0)
    (outcome,) = read_photos([crowd / "Single.jpg"], bundle.path, workers=1)
    assert outcome.sample is None
    assert outcome.reason.startswith("took more than")


def _children() -> list[int]:
    return [child.pid for child in multiprocessing.active_children() if child.pid]
