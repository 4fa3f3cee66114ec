"""A corpus of vectors: complete, the same after any interruption, the same from a cluster."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")
pytest.importorskip("soundfile")

from convert import cli
from convert.corpus import cluster as cluster_module
from convert.corpus import embed as embed_module
from convert.corpus.embed import embed_items
from convert.corpus.items import write_items
from convert.corpus.mapped import find_arrays, map_array
from convert.corpus.plan import default_shard
from convert.corpus.reading import Corpus, read_corpus
from convert.corpus.shard import Shard, pack_shard, unpack_shard
from convert.datasets.folders import folder_items
from convert.datasets.item import Item
from edge.bundle import Bundle, load_bundle
from edge.errors import BundleError, ConfigError, EarsightError, RuntimeUnavailable, StorageError
from edge.people.enrolment import PhotoEnroller, enroll_voice
from tests.dask_cluster import children_of, dask_cluster
from tests.faces import detecting_bundle
from tests.spoken_people import write_bad_files, write_people

ROOT = Path(__file__).parents[1]
TINY = ROOT / "tests/data/tiny.bundle"
SHARD = 4


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return detecting_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 16 good files, and bad ones of every kind."""
    folder = tmp_path_factory.mktemp("people")
    write_people(folder, people=4, voices=2, photos=2)
    return folder


@pytest.fixture(scope="module")
def bad(people: Path) -> dict[str, str]:
    return write_bad_files(people)


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, bundle: Bundle, people: Path, bad: dict[str, str]
) -> Corpus:
    """Return the corpus of all of them, made here without interruption."""
    folder = tmp_path_factory.mktemp("whole")
    return embed(bundle, people, folder, workers=2)


def embed(bundle: Bundle, people: Path, folder: Path, **options: object) -> Corpus:
    items = folder_items(people)
    return embed_items(bundle.path, items, folder, shard=SHARD, progress=False, **options)


def shards_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard_*.npz"))}


def finished(folder: Path) -> dict[str, bytes]:
    """Return everything a finished folder holds but the lock."""
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.name != ".lock"}


def command(bundle: Bundle, people: Path, folder: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "convert", "embed", str(bundle.path), str(people),
        "--out", str(folder), "--shard", str(SHARD), "--workers", "1", *more,
    ]  # fmt: skip


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_every_item_is_in_one_shard_in_the_order_given(whole: Corpus, people: Path) -> None:
    items = list(folder_items(people))
    ids = [name for shard in whole.shards() for name in shard.ids]
    assert ids == [item.id for item in items]
    assert len(whole) == len(items)
    assert [len(s.ids) for s in whole.shards()][:-1] == [SHARD] * (len(whole.index.shards) - 1)


def test_vectors_are_those_of_the_device(whole: Corpus, people: Path, bundle: Bundle) -> None:
    voice = enroll_voice(people / "person0001/v0.wav", bundle).sample.embedding
    assert np.array_equal(whole.find("person0001/v0.wav"), voice)
    photo = PhotoEnroller(bundle).enroll((people / "person0002/p1.jpg").read_bytes(), "x").sample
    assert np.array_equal(whole.find("person0002/p1.jpg"), photo.embedding)


def test_files_that_cannot_be_used_are_named_and_stop_nothing(
    whole: Corpus, bad: dict[str, str]
) -> None:
    failures = dict(whole.failures())
    assert set(failures) == {name for name in bad if name in whole}
    assert {"trouble/cut.wav", "trouble/silence.wav", "trouble/bomb.png"} <= set(failures)
    for name, reason in failures.items():
        assert bad[name] in reason
        assert str(whole.folder.parent) not in reason  # the same wherever the data lies
        assert whole.find(name) is None
        assert whole.reason(name) == reason
    table = csv.reader(io.StringIO((whole.folder / "failures.csv").read_text()))
    assert [tuple(row) for row in table] == [("id", "reason"), *failures.items()]
    assert whole.index.failed == len(failures)


def test_lookups_by_id(whole: Corpus) -> None:
    rows = {
        name: row for s in whole.shards() for name, row in zip(s.ids, s.embeddings, strict=True)
    }
    ids = [*reversed(rows), "nobody", "person0000/v0.wav"]
    found = whole.vectors(ids)
    assert found.dtype == np.float32
    expected = np.array([rows.get(name, np.full(whole.plan.dim, np.nan)) for name in ids])
    assert np.array_equal(found, expected.astype(np.float32), equal_nan=True)
    assert "person0000/v0.wav" in whole
    assert "nobody" not in whole
    assert (whole.find("nobody"), whole.reason("nobody")) == (None, "not in the corpus")
    assert whole.reason("person0000/v0.wav") == ""


def test_files_are_private(whole: Corpus) -> None:
    assert {path.stat().st_mode & 0o777 for path in whole.folder.iterdir()} == {0o600}


def test_published_reading_takes_files_whole(
    bundle: Bundle, people: Path, tmp_path: Path, whole: Corpus
) -> None:
    corpus = embed(bundle, people, tmp_path / "out", workers=2, reading="published")
    assert corpus.find("trouble/nobody.jpg") is not None  # no face is looked for
    assert corpus.find("trouble/silence.wav") is not None
    assert not np.array_equal(corpus.find("person0000/p0.jpg"), whole.find("person0000/p0.jpg"))
    assert corpus.reason("trouble/cut.wav") == whole.reason("trouble/cut.wav")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_it_goes_on_to_the_same_bytes(
    bundle: Bundle, people: Path, whole: Corpus, tmp_path: Path, how: signal.Signals
) -> None:
    folder = tmp_path / "out"
    # a shell lets what it starts with "&" ignore Ctrl-C, and what that starts in turn
    with subprocess.Popen(
        command(bundle, people, folder), cwd=ROOT, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as run:  # fmt: skip
        wait_for(lambda: len(shards_in(folder)) >= 2)
        wait_for(lambda: bool(children_of(run.pid)))
        children = children_of(run.pid)
        run.send_signal(how)
        told = run.communicate()[1]
    if how == signal.SIGINT:
        assert run.returncode == 130
        assert told.splitlines()[-1].endswith("stopped; the same command goes on from here")
        assert "Traceback" not in told
    wait_for(lambda: not any(Path(f"/proc/{child}").exists() for child in children), 20)
    with pytest.raises(StorageError, match="is not finished; run the same"):
        read_corpus(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("shard_*.npz")}
    assert 2 <= len(before) < len(whole.index.shards)
    (folder / ".shard_000001.npz.left").write_bytes(b"half")  # what a kill in mid-write leaves
    embed(bundle, people, folder, workers=2)
    assert {path: path.stat().st_mtime_ns for path in before} == before  # not made again
    assert finished(folder) == finished(whole.folder)


def test_damaged_shards_are_made_again(
    bundle: Bundle, people: Path, whole: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    shutil.copytree(whole.folder, folder)
    shard = folder / "shard_000000.npz"
    content = shard.read_bytes()
    place = content.index(whole.find("person0000/v0.wav").tobytes())
    shard.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(StorageError, match=r"shard_000000.npz: damaged"):
        list(read_corpus(folder).shards())
    other = folder / "shard_000001.npz"
    other.write_bytes(other.read_bytes()[:-100])
    shutil.copy(folder / "shard_000003.npz", folder / "shard_000002.npz")  # whole, and another's
    embed(bundle, people, folder, workers=2)
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[0][-8:] for line in told] == ["0000.npz", "0001.npz", "0002.npz"]
    assert all(line.endswith("it is made again") for line in told)
    assert finished(folder) == finished(whole.folder)


def test_damage_anywhere_in_a_shard_is_seen_or_harmless() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(3, 8)).astype(np.float32)
    vectors[1] = np.nan
    shard = Shard(("a", "b", "c"), vectors, {1: "why"}, "litert 1")
    content = pack_shard(shard, "0" * 64)
    seen = []
    for place in range(len(content)):
        for bit in (1, 64):
            damaged = bytes([*content[:place], content[place] ^ bit, *content[place + 1 :]])
            try:
                read = unpack_shard(damaged, "x", "0" * 64)
            except StorageError as exc:
                seen.append(str(exc))
                continue
            assert (read.ids, read.failures) == (shard.ids, shard.failures)
            assert np.array_equal(read.embeddings, vectors, equal_nan=True)
    assert {(told[:12], told.count("\n")) for told in seen} == {("x: damaged (", 0)}
    assert len(seen) > len(content)  # of two changes of each byte
    for end in range(len(content)):
        with pytest.raises(StorageError):
            unpack_shard(content[:end], "x", "0" * 64)


def test_two_corpora_are_not_mixed(
    bundle: Bundle, people: Path, whole: Corpus, tmp_path: Path
) -> None:
    before = finished(whole.folder)
    fewer = [item for item in folder_items(people) if item.kind == "voice"]
    with pytest.raises(BundleError, match="was made with another bundle") as other:
        embed(load_bundle(TINY), people, whole.folder)
    with pytest.raises(StorageError, match=f"holds {len(whole)} other items than the 12"):
        embed_items(bundle.path, fewer, whole.folder, progress=False)
    with pytest.raises(ConfigError, match="was made with --reading device"):
        embed(bundle, people, whole.folder, reading="published")
    with pytest.raises(ConfigError, match="has shards of 4 items; leave --shard out"):
        embed_items(bundle.path, folder_items(people), whole.folder, shard=5, progress=False)
    assert "\n" not in str(other.value)
    assert finished(whole.folder) == before
    # the size that it was begun with is kept, and nothing is made again
    again = embed_items(bundle.path, folder_items(people), whole.folder, progress=False)
    assert again.index == whole.index
    assert finished(whole.folder) == before


def test_a_second_command_is_kept_out(bundle: Bundle, people: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with subprocess.Popen(
        command(bundle, people, folder), cwd=ROOT, stderr=subprocess.DEVNULL
    ) as run:
        wait_for(lambda: (folder / "plan.json").exists())
        with pytest.raises(StorageError, match="another command is at work in it"):
            embed(bundle, people, folder)
        run.kill()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"workers": 0}, ConfigError, "--workers: is 0"),
        ({"shard": 0}, ConfigError, "--shard: is 0"),
        ({"shard": 65_537}, ConfigError, "--shard: is 65537"),
    ],
)
def test_wrong_arguments(
    options: dict[str, int], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        embed_items(TINY, [], tmp_path / "out", progress=False, **options)
    assert not (tmp_path / "out").exists()


def test_lists_that_cannot_be_embedded(bundle: Bundle, tmp_path: Path) -> None:
    voice = Item("a/1.wav", tmp_path / "1.wav", "voice", "a")
    with pytest.raises(ConfigError, match="nothing to embed"):
        embed_items(bundle.path, [], tmp_path / "out", progress=False)
    twice = [voice, replace(voice, id="b"), voice]
    with pytest.raises(ConfigError, match=r"two items are called a/1\.wav"):
        embed_items(bundle.path, twice, tmp_path / "out", progress=False)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]
    deaf = tmp_path / "deaf.bundle"
    shutil.copytree(TINY, deaf)
    manifest = json.loads((deaf / "manifest.json").read_text())
    del manifest["models"]["face_encoder"]
    (deaf / "manifest.json").write_text(json.dumps(manifest))
    face = Item("a/1.jpg", tmp_path / "1.jpg", "face", "a")
    with pytest.raises(BundleError, match="has no face encoder for the faces given"):
        embed_items(deaf, [voice, face], tmp_path / "out", progress=False)


def test_shards_are_enough_for_the_cores_and_not_too_many() -> None:
    sizes = {count: default_shard(count) for count in (1, 500, 4096, 4097, 60_000, 1_350_000)}
    assert sizes == {1: 64, 500: 64, 4096: 64, 4097: 65, 60_000: 938, 1_350_000: 1024}


def test_a_list_is_read_by_shards(tmp_path: Path) -> None:
    items = [
        Item(f"p/{n}é\udcff.wav", Path(f"x/{n}.wav"), "voice" if n % 2 else "face", "p")
        for n in range(7)
    ]
    listed = write_items(iter(items), tmp_path / "items")
    assert (listed.count, listed.kinds) == (7, {"voice", "face"})
    read = [*listed.read(range(3)), *listed.read(range(3, 6)), *listed.read(range(6, 7))]
    assert read == [replace(item, path=item.path.absolute()) for item in items]
    assert (tmp_path / "items").stat().st_mode & 0o777 == 0o600


def test_arrays_are_mapped_where_they_lie(whole: Corpus) -> None:
    path = whole.folder / "shard_000001.npz"
    names = ("ids", "embeddings", "failed", "reasons")
    with np.load(path) as arrays:
        for name, place in zip(names, find_arrays(path, *names), strict=True):
            mapped = map_array(path, place)
            assert mapped.dtype == arrays[name].dtype
            assert mapped.tobytes() == arrays[name].tobytes()


HOSTILE = """
import os, signal, sys
def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        if arguments[0].endswith("crash.wav"):
            os.kill(os.getpid(), signal.SIGSEGV)
        while arguments[0].endswith("endless.wav"):
            pass
if "convert.corpus.child" in sys.orig_argv:
    sys.addaudithook(hook)
"""


def test_a_decoder_that_crashes_or_never_ends_costs_its_file(
    bundle: Bundle, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(HOSTILE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(embed_module, "LONGEST_S", 2)
    good = people / "person0000/v0.wav"
    items = []
    for name in ("before.wav", "crash.wav", "between.wav", "endless.wav", "after.wav"):
        shutil.copy(good, tmp_path / name)
        items.append(Item(name, tmp_path / name, "voice", "x"))
    os.mkfifo(tmp_path / "pipe.wav")
    items.append(Item("pipe.wav", tmp_path / "pipe.wav", "voice", "x"))
    items.append(Item("gone.wav", tmp_path / "gone.wav", "voice", "x"))
    corpus = embed_items(bundle.path, items, tmp_path / "out", progress=False)
    assert dict(corpus.failures()) == {
        "crash.wav": "crashed its decoder (SIGSEGV)",
        "endless.wav": "took more than 2 s",
        "pipe.wav": "not a regular file",
        "gone.wav": "no such file",
    }
    vector = enroll_voice(good, bundle).sample.embedding
    for name in ("before.wav", "between.wav", "after.wav"):
        assert np.array_equal(corpus.find(name), vector)


def test_what_keeps_every_item_is_raised(
    bundle: Bundle, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARSIGHT_RUNTIME", "no-such")
    with pytest.raises(EarsightError, match="no-such"):
        embed(bundle, people, tmp_path / "a")
    monkeypatch.delenv("EARSIGHT_RUNTIME")
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'convert.corpus.child' in sys.orig_argv: raise SystemExit('no luck')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(
        RuntimeUnavailable, match=r"ended with 1 before it began \(SystemExit: no luck"
    ):
        embed(bundle, people, tmp_path / "b")


# --- a real cluster -----------------------------------------------------------------------------


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[object]:
    pytest.importorskip("distributed", reason="pip install 'earsight[cluster]'")
    with dask_cluster(tmp_path / "dask") as cluster:
        yield cluster


def test_a_worker_killed_half_way_changes_nothing(
    bundle: Bundle, people: Path, whole: Corpus, tmp_path: Path, dask
) -> None:
    folder = tmp_path / "out"
    orphans: set[int] = set()

    def kill_one() -> None:
        half = len(whole.index.shards) // 2
        wait_for(lambda: len(shards_in(folder)) >= half)
        victim = dask.workers[0]
        wait_for(lambda: bool(children_of(victim.pid)))  # it is at a shard
        orphans.update(children_of(victim.pid))
        victim.kill()
        victim.wait()

    killer = threading.Thread(target=kill_one)
    killer.start()
    corpus = embed(bundle, people, folder, scheduler=dask.address)
    killer.join()
    assert orphans
    assert dask.workers[0].returncode == -signal.SIGKILL
    assert dask.workers[1].poll() is None
    ids = [name for shard in corpus.shards() for name in shard.ids]
    assert ids == [item.id for item in folder_items(people)]  # nothing lost, nothing twice
    assert finished(folder) == finished(whole.folder)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans), 20)
    # begun on one side, finished on the other
    (folder / "shard_000002.npz").unlink()
    embed(bundle, people, folder, workers=1)
    (folder / "shard_000004.npz").unlink()
    embed(bundle, people, folder, scheduler=dask.address)
    assert finished(folder) == finished(whole.folder)


@contextlib.contextmanager
def half_way(bundle: Bundle, people: Path, folder: Path, dask) -> Iterator[subprocess.Popen[str]]:
    """Give a command on a cluster that has two shards already."""
    more = ["--scheduler", dask.address]
    with subprocess.Popen(
        command(bundle, people, folder, *more), cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as run:
        wait_for(lambda: len(shards_in(folder)) >= 2)
        yield run


def test_a_scheduler_that_is_lost_is_one_line_and_the_same_command_goes_on(
    bundle: Bundle, people: Path, whole: Corpus, tmp_path: Path, dask
) -> None:
    folder = tmp_path / "out"
    with half_way(bundle, people, folder, dask) as run:
        dask.scheduler.kill()
        told = run.communicate()[1]
    assert run.returncode == RuntimeUnavailable.exit_code
    assert told.splitlines()[-1].startswith("earsight-convert: error: tcp://127.0.0.1:")
    assert "is gone; what is finished is kept" in told
    assert "Traceback" not in told
    for worker in dask.workers:
        worker.kill()
    kept = shards_in(folder)
    assert 2 <= len(kept) < len(whole.index.shards)
    dask.start_scheduler()
    dask.start_worker()
    done = subprocess.run(
        command(bundle, people, folder, "--scheduler", dask.address),
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    failed = whole.index.failed
    assert done.stdout.startswith(f"{len(whole) - failed} of {len(whole)} embedded, ")
    assert finished(folder) == finished(whole.folder)


def test_a_cluster_may_lose_every_worker_and_get_others(
    bundle: Bundle, people: Path, whole: Corpus, tmp_path: Path, dask
) -> None:
    folder = tmp_path / "out"
    with half_way(bundle, people, folder, dask) as run:
        for worker in dask.workers:
            worker.kill()
        for line in run.stderr:
            if "the cluster has no workers; waiting for some" in line:
                break
        else:
            pytest.fail("nothing was said")
        dask.start_worker()
        run.stderr.read()
    assert run.returncode == 0
    assert finished(folder) == finished(whole.folder)


DEADLY = """
import os, pathlib, signal, sys
worker = os.getppid()
def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith("deadly.wav"):
        for token in list(pathlib.Path({0!r}).iterdir())[:1]:
            token.unlink()
            os.kill(worker, signal.SIGKILL)
            os._exit(1)
if "convert.corpus.child" in sys.orig_argv:
    sys.addaudithook(hook)
"""


def test_a_shard_whose_workers_die_is_handed_in_again_but_not_for_ever(
    bundle: Bundle, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="pip install 'earsight[cluster]'")
    tokens = tmp_path / "tokens"
    tokens.mkdir()
    (tmp_path / "sitecustomize.py").write_text(DEADLY.format(str(tokens)))
    shutil.copy(people / "person0000/v0.wav", tmp_path / "deadly.wav")
    items = [Item("deadly", tmp_path / "deadly.wav", "voice", "x")]
    no_mercy = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with dask_cluster(tmp_path / "dask", 0, no_mercy) as dask:
        monkeypatch.setattr(cluster_module, "SUBMISSIONS", 2)
        for deaths, alive in ((1, 1), (2, 0)):
            for number in range(deaths):
                (tokens / str(number)).touch()
            before = len(dask.workers)
            for _ in range(deaths + alive):
                dask.start_worker({"PYTHONPATH": str(tmp_path)})
            out = tmp_path / str(deaths)
            if alive:
                corpus = embed_items(
                    bundle.path, items, out, scheduler=dask.address, progress=False
                )
                vector = enroll_voice(tmp_path / "deadly.wav", bundle).sample.embedding
                assert np.array_equal(corpus.find("deadly"), vector)
            else:
                with pytest.raises(RuntimeUnavailable, match="that was given shard 0 died; look"):
                    embed_items(bundle.path, items, out, scheduler=dask.address, progress=False)
            died = [w for w in dask.workers[before:] if w.poll() == -signal.SIGKILL]
            assert len(died) == deaths
            for worker in dask.workers:
                worker.kill()
                worker.wait()


BLIND = """
import pathlib
def blind(path, *arguments, seen=pathlib.Path.{0}, **options):
    if path.name == "{1}":
        raise FileNotFoundError(2, "No such file or directory", str(path))
    return seen(path, *arguments, **options)
pathlib.Path.{0} = blind
"""


def test_a_worker_that_sees_other_files_stops_it(
    bundle: Bundle, people: Path, tmp_path: Path
) -> None:
    pytest.importorskip("distributed", reason="pip install 'earsight[cluster]'")
    cases = {
        "data": (("stat", "v1.wav"), StorageError, r"does not see .*v1\.wav, which is here; every"),
        "bundle": (("read_text", "manifest.json"), BundleError, "not a bundle: .* same paths as"),
    }
    with dask_cluster(tmp_path / "dask", workers=0) as dask:
        for name, (hidden, error, message) in cases.items():
            (tmp_path / name).mkdir()
            (tmp_path / name / "sitecustomize.py").write_text(BLIND.format(*hidden))
            worker = dask.start_worker({"PYTHONPATH": str(tmp_path / name)})
            with pytest.raises(error, match=message) as caught:
                embed(bundle, people, tmp_path / "out", scheduler=dask.address)
            assert str(caught.value).startswith("worker tcp://127.0.0.1:")
            assert not shards_in(tmp_path / "out")
            worker.kill()
            worker.wait()


def test_no_scheduler_no_workers_no_dask(
    bundle: Bundle, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="pip install 'earsight[cluster]'")
    monkeypatch.setattr(cluster_module, "CONNECT_S", 1)
    monkeypatch.setattr(cluster_module, "FIRST_WORKER_S", 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        other = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        for wrong in (address, other, "nonsense", "tcp://", "http://127.0.0.1:1"):
            with pytest.raises(ConfigError, match="no scheduler answers there") as caught:
                embed(bundle, people, tmp_path / "a", scheduler=wrong)
            assert "\n" not in str(caught.value)
    with (
        dask_cluster(tmp_path / "dask", workers=0) as dask,
        pytest.raises(RuntimeUnavailable, match="has no workers; start some with `dask worker"),
    ):
        embed(bundle, people, tmp_path / "b", scheduler=dask.address)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RuntimeUnavailable, match=r"run: pip install 'earsight\[cluster\]'"):
        embed(bundle, people, tmp_path / "c", scheduler=address)


def test_the_command_reads_every_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert cli.main(["embed", str(TINY), str(tmp_path), *out, "--layout", "voxceleb"]) == 3
    assert "--layout voxceleb needs --lists FOLDER" in capsys.readouterr().err
    assert cli.main(["embed", str(TINY), "a", "b", *out]) == 3
    assert "--layout folder reads one DATASET, 2 were given" in capsys.readouterr().err
