"""Reading checkpoints: both PyTorch formats, NPZ and HDF5, and nothing in them is ever executed."""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from convert.checkpoints.reading import read_tensors
from edge.errors import InputError
from tests.torch_files import Pickler, save_legacy, save_zip

WEIGHTS = {
    "layer.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "layer.bias": np.array([1.5, -2.0], np.float64),
    "half": np.array([0.5, 3.0], np.float16),
    "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,  # strides, not order
    "count": np.array(7, np.int64),
    "none": np.zeros((0, 3), np.float32),
}


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def assert_same(found, wanted):
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@pytest.mark.parametrize("save", [save_zip, save_legacy])
def test_both_formats_give_the_tensors_that_went_in(tmp_path, save):
    save(tmp_path / "w.pth", WEIGHTS)
    assert_same(read_tensors(tmp_path / "w.pth"), WEIGHTS)


@pytest.mark.parametrize("save", [save_zip, save_legacy])
def test_of_a_training_checkpoint_only_the_weights_are_read(tmp_path, save):
    content = {
        "start_it": 10000, "stage": 2, "lr": 0.01, "note": None, "steps": [1, 2], "done": True,
        "state_dict": {f"module.{name}": array for name, array in WEIGHTS.items()},
        "optimizer": {"match": {"state": {0: {"momentum": np.ones(3, np.float32)}}}},
    }  # fmt: skip
    save(tmp_path / "best.pth.tar", content)
    assert_same(read_tensors(tmp_path / "best.pth.tar"), WEIGHTS)


def test_wrappers_are_taken_off_and_nested_names_joined(tmp_path):
    save_zip(tmp_path / "a", {"module.__S__.conv.weight": WEIGHTS["layer.bias"]})
    assert list(read_tensors(tmp_path / "a")) == ["conv.weight"]
    save_zip(tmp_path / "b", {"voice": {"fc": {"bias": WEIGHTS["layer.bias"]}}, "epoch": 3})
    assert list(read_tensors(tmp_path / "b")) == ["voice.fc.bias"]


def test_bfloat16_becomes_float32(tmp_path):
    exact = np.array([1.0, -2.5, 0.15625], np.float32)
    content = Pickler(legacy=False)
    data = content.dumps({"w": (exact.view(np.uint32) >> 16).astype(np.int32)})
    data = data.replace(b"IntStorage", b"BFloat16Storage")
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("w/data.pkl", data)
        archive.writestr("w/data/0", (exact.view(np.uint32) >> 16).astype("<u2").tobytes())
    np.testing.assert_array_equal(read_tensors(tmp_path / "w.pt")["w"], exact)


@pytest.mark.parametrize("legacy", [False, True])
def test_no_code_in_a_pickle_runs(tmp_path, legacy):
    """What would be executed by pickle.load is recorded and left alone."""
    marker = tmp_path / "marker"
    evil = pickle.dumps(Evil(marker), protocol=2)[2:-1]  # without header and stop
    pickler = Pickler(legacy)
    tensor = pickler.emit(WEIGHTS["layer.bias"])
    program = b"\x80\x02}(" + pickler.emit("evil") + evil + pickler.emit("w") + tensor + b"u."
    path = tmp_path / "evil.pth"
    if legacy:
        plain = Pickler(legacy=True)
        start = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
        storage = pickler.storages[0]
        path.write_bytes(
            b"".join(map(plain.dumps, start)) + program + plain.dumps(["0"])
            + struct.pack("<q", storage.size) + storage.tobytes()
        )  # fmt: skip
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", program)
            archive.writestr("a/data/0", pickler.storages[0].tobytes())
    found = read_tensors(path)
    assert not marker.exists()
    assert_same(found, {"w": WEIGHTS["layer.bias"]})
    pickle.loads(b"\x80\x02" + evil + b".")  # the same bytes, executed: the test means something
    assert marker.exists()


def test_a_whole_pickled_network_is_refused_with_advice(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps(Evil(tmp_path / "x"), protocol=2))
    with pytest.raises(InputError, match=r"no tensors.*state_dict"):
        read_tensors(tmp_path / "net.pth")


def test_torchscript_is_refused_with_advice(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("a/constants.pkl", b"")
    with pytest.raises(InputError, match=r"TorchScript.*state_dict"):
        read_tensors(tmp_path / "net.pt")


def _rewrite(path: Path, name: str, change) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    entries[name] = change(entries[name])
    with zipfile.ZipFile(path, "w") as archive:
        for entry, content in entries.items():
            archive.writestr(entry, content)


@pytest.mark.parametrize(
    ("entry", "change", "message"),
    [
        ("archive/data/0", lambda c: c[:-4], "truncated"),
        ("archive/byteorder", lambda c: b"big", "big-endian"),
        ("archive/data.pkl", lambda c: c[:40], "damaged"),
        ("archive/data.pkl", lambda c: c.replace(b"FloatStorage", b"GhostStorage"), "Ghost"),
    ],
)
def test_damage_is_one_line_that_names_the_file(tmp_path, entry, change, message):
    path = tmp_path / "w.pth"
    save_zip(path, WEIGHTS)
    _rewrite(path, entry, change)
    with pytest.raises(InputError, match=message) as caught:
        read_tensors(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("size", "stride", "offset"), [((5,), (1,), 0), ((4,), (1,), 1), ((2, 2), (3, 1), 0)]
)
def test_a_tensor_that_reaches_beyond_its_storage_is_refused(tmp_path, size, stride, offset):
    class Lying(Pickler):
        def _tensor(self, array):
            honest = super()._tensor(array)
            shape = self.emit(0) + self.emit(array.shape) + self.emit((1,))
            return honest.replace(shape, self.emit(offset) + self.emit(size) + self.emit(stride))

    pickler = Lying(legacy=False)
    content = pickler.dumps({"w": np.ones(4, np.float32)})
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("a/data.pkl", content)
        archive.writestr("a/data/0", pickler.storages[0].tobytes())
    with pytest.raises(InputError, match="beyond its storage"):
        read_tensors(tmp_path / "w.pth")


def test_endless_nesting_is_refused(tmp_path):
    deep = b"\x80\x02" + b"}X\x01\x00\x00\x00a" * 100_000 + b"N" + b"s" * 100_000 + b"."
    wide = b"\x80\x02}q\x00" + b"".join(
        b"}(X\x01\x00\x00\x00ah\x00X\x01\x00\x00\x00bh\x00uq\x00" for _ in range(30)
    )
    for name, program in (("deep", deep), ("wide", wide + b".")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("a/data.pkl", program)
        with pytest.raises(InputError, match=r"nested|no tensors|damaged"):
            read_tensors(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x02]q\x00.", b"PK\x03\x04"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(InputError):
        read_tensors(tmp_path / "w.pth")


@pytest.mark.parametrize("save", [save_zip, lambda path, value: np.savez(path, **value)])
def test_archives_cut_short_are_told_from_other_files(tmp_path, save):
    path = tmp_path / "w.npz"
    save(path, WEIGHTS)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"w\.npz: an archive without its end; copy"):
        read_tensors(path)


def test_npz_files_are_read_and_pickled_arrays_refused(tmp_path):
    np.savez(tmp_path / "w.npz", **WEIGHTS)
    assert_same(read_tensors(tmp_path / "w.npz"), WEIGHTS)
    np.savez(tmp_path / "evil.npz", w=np.array([Evil(tmp_path / "marker")], object))
    with pytest.raises(InputError, match="plain arrays"):
        read_tensors(tmp_path / "evil.npz")
    assert not (tmp_path / "marker").exists()


def test_hdf5_weights_come_in_the_order_of_the_layers(tmp_path):
    h5py = pytest.importorskip("h5py", reason="the [convert] extra is not installed")
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"conv2d_2", b"conv2d_10", b"pool"]
        for layer in ("conv2d_10", "conv2d_2"):
            group = file.create_group(f"{layer}/{layer}")
            group["kernel:0"] = np.full((2, 2), len(layer), np.float32)
    found = read_tensors(tmp_path / "w.h5")
    assert list(found) == ["conv2d_2.kernel", "conv2d_10.kernel"]
    (tmp_path / "empty.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(8))
    with pytest.raises(InputError, match="HDF5"):
        read_tensors(tmp_path / "empty.h5")


def test_the_real_thing_reads_what_we_write_and_we_what_it_writes(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    for save in (save_zip, save_legacy):
        save(tmp_path / "ours.pth", {"state_dict": WEIGHTS})
        theirs = torch.load(tmp_path / "ours.pth", weights_only=True)["state_dict"]
        assert_same({k: v.numpy() for k, v in theirs.items()}, WEIGHTS)
    state = {name: torch.from_numpy(np.array(array)) for name, array in WEIGHTS.items()}
    state["parameter"] = torch.nn.Parameter(torch.ones(2, 2))
    for new in (True, False):
        path = tmp_path / f"theirs{new}.pth"
        torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=new)
        assert_same(read_tensors(path), {**WEIGHTS, "parameter": np.ones((2, 2), np.float32)})


def test_published_checkpoints_of_both_formats_are_read(shared):
    folder = shared / "data" / "weights"
    counts = {"mobilefacenet.pt": 307, "btcvae_celeba.pt": 28, "voice_face_heads.pth": 92}
    assert {name: len(read_tensors(folder / name)) for name in counts} == counts
