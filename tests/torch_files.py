"""Writes files in PyTorch's two formats without PyTorch, and checkpoints with made-up weights."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

STORAGES = {
    "float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage",
    "int64": "LongStorage", "int32": "IntStorage", "uint8": "ByteStorage", "bool": "BoolStorage",
}  # fmt: skip
KEYS = Path(__file__).parent / "data" / "shape_of_sound_keys.tsv"  # name, shape, dtype
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class Pickler:
    """Emits protocol 2 for dict, list, tuple, str, int, float, bool, None and arrays."""

    def __init__(self, legacy: bool) -> None:
        self.storages: list[np.ndarray] = []
        self._legacy = legacy

    def dumps(self, value: Any) -> bytes:
        """Return a whole pickle."""
        return b"\x80\x02" + self.emit(value) + b"."

    def emit(self, value: Any) -> bytes:
        """Return the instructions that put a value onto the stack."""
        if isinstance(value, np.ndarray):
            return self._tensor(value)
        if isinstance(value, Mapping):
            items = b"".join(self.emit(k) + self.emit(v) for k, v in value.items())
            return b"}(" + items + b"u"
        if isinstance(value, list):
            return b"](" + b"".join(map(self.emit, value)) + b"e"
        if isinstance(value, tuple):
            return b"(" + b"".join(map(self.emit, value)) + b"t"
        if isinstance(value, str):
            text = value.encode()
            return b"X" + struct.pack("<I", len(text)) + text
        if value is None or isinstance(value, bool):
            return {None: b"N", True: b"\x88", False: b"\x89"}[value]
        if isinstance(value, float):
            return b"G" + struct.pack(">d", value)
        if -(2**31) <= value < 2**31:
            return b"J" + struct.pack("<i", value)
        content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(content)]) + content

    def _tensor(self, array: np.ndarray) -> bytes:
        """Emit the call that rebuilds a tensor; transposed arrays keep their strides."""
        base = array if array.flags.c_contiguous else array.T
        assert base.flags.c_contiguous
        key = str(len(self.storages))
        self.storages.append(base)
        stride = tuple(n // array.itemsize for n in array.strides)
        storage = b"(" + self.emit("storage")
        storage += f"ctorch\n{STORAGES[array.dtype.name]}\n".encode()
        storage += self.emit(key) + self.emit("cpu") + self.emit(array.size)
        storage += (b"N" if self._legacy else b"") + b"tQ"
        rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n("
        shape = self.emit(0) + self.emit(array.shape) + self.emit(stride)
        return rebuild + storage + shape + b"\x89ccollections\nOrderedDict\n)RtR"


def save_zip(path: Path, value: Any) -> None:
    """Write what `torch.save` writes since 1.6."""
    pickler = Pickler(legacy=False)
    content = pickler.dumps(value)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
        for key, array in enumerate(pickler.storages):
            archive.writestr(f"archive/data/{key}", array.tobytes())


def save_legacy(path: Path, value: Any) -> None:
    """Write what `torch.save` wrote before 1.6."""
    pickler = Pickler(legacy=True)
    content = pickler.dumps(value)
    plain = Pickler(legacy=True)
    out = io.BytesIO()
    out.write(plain.dumps(MAGIC) + plain.dumps(PROTOCOL))
    out.write(plain.dumps({"protocol_version": PROTOCOL, "little_endian": True}))
    out.write(content)
    out.write(plain.dumps([str(key) for key in range(len(pickler.storages))]))
    for array in pickler.storages:
        out.write(struct.pack("<q", array.size) + array.tobytes())
    path.write_bytes(out.getvalue())


def random_tensor(name: str, shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    """Return weights that keep a deep network's signals at about unit size, the same every time."""
    rng = np.random.default_rng(list(name.encode()))
    part = name.rpartition(".")[2]
    if dtype != "float32":
        return np.zeros(shape, dtype)
    if part == "running_var":
        return rng.uniform(0.7, 1.4, shape).astype(np.float32)
    if part in ("running_mean", "bias"):
        return rng.normal(0, 0.1, shape).astype(np.float32)
    if name.endswith(("res_layer.2.weight", "input_layer.2.weight")):  # slope of a PReLU
        return rng.uniform(0.1, 0.4, shape).astype(np.float32)
    if len(shape) == 1:  # gain of a batch norm; small at the end of IR-50's units, which add up
        gain = 0.25 if name.endswith("res_layer.4.weight") else 1.0
        return gain * rng.uniform(0.6, 1.3, shape).astype(np.float32)
    fan_in = int(np.prod(shape[1:]))
    return rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2.0 / fan_in))


def shape_of_sound_tensors() -> dict[str, np.ndarray]:
    """Return the 653 tensors of a Shape of Sound checkpoint with made-up weights."""
    from convert.checkpoints.layouts import find_layout

    tables = find_layout("shape-of-sound").tables()
    tensors = {}
    for line in KEYS.read_text().splitlines():
        name, shape, dtype = line.split("\t")
        sizes = tuple(int(n) for n in shape.strip("()").split(",") if n.strip())
        given = tables.get(name)
        tensors[name] = (
            random_tensor(name, sizes, dtype) if given is None else given.astype(np.float32)
        )
    return tensors


def speech2face_voice_tensors() -> dict[str, np.ndarray]:
    """Return made-up tensors of Speech2Face's voice encoder, named as a re-implementation does."""
    channels = (2, 64, 64, 128, 128, 128, 256, 512, 512, 512)
    shapes: dict[str, tuple[int, ...]] = {}
    for n, (given, made) in enumerate(pairwise(channels)):
        shapes |= {f"conv.{n}.weight": (made, given, 4, 4), f"conv.{n}.bias": (made,)}
        shapes |= {
            f"norm.{n}.{part}": (made,)
            for part in ("weight", "bias", "running_mean", "running_var")
        }
    for n, shape in enumerate(((4096, 512 * 57), (4096, 4096))):
        shapes |= {f"linear.{n}.weight": shape, f"linear.{n}.bias": shape[:1]}
    return _made_up(shapes.items())


def speech2face_decoder_tensors() -> dict[str, np.ndarray]:
    """Return made-up tensors of Speech2Face's face decoder, named as a re-implementation does."""
    shapes: dict[str, tuple[int, ...]] = {}
    for n, shape in ((0, (1000, 4096)), (2, (256 * 14 * 14, 1000))):
        shapes |= {f"mlp.{n}.weight": shape, f"mlp.{n}.bias": shape[:1]}
    for n, (given, made) in enumerate(pairwise((256, 128, 64, 32, 32))):
        name = f"texture_gen.{2 * n}"
        shapes |= {f"{name}.weight": (given, made, 6, 6), f"{name}.bias": (made,)}
    shapes |= {"texture_gen.8.weight": (3, 32, 1, 1), "texture_gen.8.bias": (3,)}
    made = _made_up(shapes.items())
    made["mlp.0.weight"] *= np.float32(np.sqrt(4096))  # its inputs are small: of unit length
    return made


def vgg_face_tensors() -> dict[str, np.ndarray]:
    """Return made-up tensors of VGG-Face up to fc7, under its published names."""
    shapes: dict[str, tuple[int, ...]] = {}
    given = 3
    for block, (channels, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        for number in range(1, count + 1):
            shapes |= {
                f"conv{block}_{number}.weight": (channels, given, 3, 3),
                f"conv{block}_{number}.bias": (channels,),
            }
            given = channels
    for name, shape in (("fc6", (4096, 512 * 7 * 7)), ("fc7", (4096, 4096))):
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return _made_up(shapes.items())


def layout_tensors(layout: str) -> dict[str, np.ndarray]:
    """Return made-up tensors of a layout whose names are its layers', as its files have them."""
    from convert.checkpoints.assign import checkpoint_tensors
    from convert.checkpoints.layouts import find_layout

    found = {}
    for part in find_layout(layout).parts:
        for name, shape in checkpoint_tensors(part.build(), part.rules).items():
            if part.rules.keras_axes:  # (k, 1, in, out) is kept as (k, in, out)
                shape = tuple(n for i, n in enumerate(shape) if len(shape) < 4 or i != 1)
                found[name] = random_tensor(name, shape[::-1]).T
            else:
                found[name] = random_tensor(name, shape)
    return found


def _made_up(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, np.ndarray]:
    return {name: random_tensor(name, shape) for name, shape in shapes}
