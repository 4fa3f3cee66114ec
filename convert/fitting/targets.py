"""What Speech2Face's voice encoder is taught: VGG-Face's fc7 of a person's pictures (section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import ConfigError, InputError
from edge.types import Float32

from ..checkpoints.assign import Rules, by_order, fill
from ..checkpoints.reading import read_tensors
from ..datasets.reading import published_face
from ..networks.vgg_face import SIZE, Convention, as_target, vgg_face_fc7
from .people import Person

DIM = 4096
CLASSES = 2622  # people VGG-Face tells apart, outputs of its last layer
LAST = (512, 7, 7)  # channels, height and width that fc6 sees
MOST = 32  # pictures of a person that are averaged

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Classifier:
    """VGG-Face's last layer; what it sees is fc7 rectified."""

    weight: Float32  # (2622, 4096)
    bias: Float32  # (2622,)

    def __call__(self, fc7: Any) -> Any:
        """Return the logits (n, 2622) of fc7 (n, 4096), a tensor before its ReLU."""
        import tensorflow as tf

        return tf.matmul(tf.nn.relu(fc7), self.weight, transpose_b=True) + self.bias


def load_vgg_face(path: Path) -> tuple[Any, Classifier | None]:
    """Return VGG-Face up to fc7 (Keras), and its last layer if the file has it.

    Args:
        path: PyTorch or NPZ with modules in the published order, or Keras HDF5 weights.

    Raises:
        InputError: it is another network's.
    """
    tensors = read_tensors(path)
    keras = path.suffix.lower() in (".h5", ".hdf5")
    last, rest = _without_classifier(tensors)
    network = vgg_face_fc7()
    rules = Rules(keras, flat_input={} if keras else {"fc6": LAST})
    try:
        fill(network, by_order(network, rest), rules)
    except InputError as exc:
        raise InputError(f"{path}: not VGG-Face: {exc}") from exc
    return network, last


def compute_targets(
    people: Sequence[Person], network: Any, convention: Convention, folder: Path
) -> Float32:
    """Return the targets (people, 4096), on disk in `folder`; goes on where it stopped.

    Raises:
        InputError: a picture cannot be used; names it.
    """
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    path, mark = folder / "targets.npy", folder / "targets.done"
    done = int(mark.read_text()) if mark.is_file() else 0
    if not done:
        np.save(path, np.broadcast_to(np.float32(0), (len(people), DIM)))
    kept: np.memmap[Any, np.dtype[np.float32]] = np.load(path, mmap_mode="r+")
    with tqdm(total=len(people), initial=done, desc="face features", unit="person") as bar:
        for row in range(done, len(people)):
            paths = [item.path for item in people[row].faces[:MOST]]
            pictures = np.stack([published_face(p, SIZE) for p in paths]).astype(np.float32)
            kept[row] = as_target(network(pictures, training=False)["fc7"].numpy(), convention)
            kept.flush()
            mark.write_text(str(row + 1))
            bar.update()
    return kept


def read_targets(path: Path, people: Sequence[Person]) -> Float32:
    """Return the targets (people, 4096) of an NPZ with `people` (n,) and `features` (n, 4096).

    Raises:
        InputError: it is no such file, or somebody is missing from it.
        ConfigError: the features are not 4096 wide.
    """
    found = read_tensors(path) if path.suffix == ".npz" else {}
    if not {"people", "features"} <= found.keys():
        raise InputError(f"{path}: must be an NPZ with the arrays people and features")
    if found["features"].shape != (len(found["people"]), DIM):
        raise ConfigError(f"{path}: features are {found['features'].shape}, must be (n, {DIM})")
    rows = {str(name): row for row, name in enumerate(found["people"])}
    missing = [person.name for person in people if person.name not in rows]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"{path}: has no features of {missing[0]}{more}")
    return np.asarray(found["features"][[rows[p.name] for p in people]], np.float32)


def _without_classifier(
    tensors: Mapping[str, Array],
) -> tuple[Classifier | None, dict[str, Array]]:
    """Return the last layer, and every tensor of another one."""
    for name, array in tensors.items():
        if array.ndim == 2 and CLASSES in array.shape:
            module = name.rpartition(".")[0]
            rest = {n: a for n, a in tensors.items() if n.rpartition(".")[0] != module}
            weight = array if array.shape[0] == CLASSES else array.T
            bias = tensors.get(f"{module}.bias", np.zeros(CLASSES))
            return Classifier(np.asarray(weight, np.float32), np.asarray(bias, np.float32)), rest
    return None, dict(tensors)
