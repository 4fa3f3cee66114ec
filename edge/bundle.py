"""The contract between `convert/` and `edge/`: one directory, one manifest, every byte hashed.

::

    NAME.bundle/
      manifest.json            what this module reads and writes, and nothing else does
      voice_encoder.tflite     features (1, frames, bands, channels) → embedding, traits if any
      face_encoder.tflite      image (1, 112, 112, 3) int8 → embedding of the same space; optional
      portrait_decoder.tflite  embedding (1, d) int8 → portrait (1, 128, 128, 3) int8; optional
      face_detector.tflite     image (1, h, w, 3) → boxes (1, n, 4), scores (1, n, 2); optional
      cohort.npz               strangers that matches are compared with (people.cohort); optional
      recipe.json report.json  how it was made, what was measured

Rules: `format` is one integer and an unknown one is refused; unknown keys are refused; every file
is listed with its SHA-256; tensors are addressed by the names in the manifest; on opening a model
the interpreter's own shapes, types, scales and zero points must equal the manifest's. The device
recomputes the front-end's fingerprint, so features can never silently differ from training's.
A gallery stores `embedding.space_id` and is refused by a bundle with another one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .accelerator.compiled import check_compiled, check_content
from .audio.frontend import input_shape
from .audio.logmel import INPUT_SCALE, LogMelSpec
from .errors import BundleError, StorageError
from .manifest import FileInfo, Manifest, TensorInfo
from .schema import read_dataclass
from .storage import replace_directory

if TYPE_CHECKING:
    from .runtime import Model

FORMAT = 1
MANIFEST = "manifest.json"
REQUIRED_MODELS = ("voice_encoder",)
KNOWN_MODELS = (*REQUIRED_MODELS, "face_encoder", "portrait_decoder", "face_detector")
# left out while empty, so that an older earsight reads the bundle
LATER_SECTIONS = ("compiled", "face_detector", "decision")
REQUIRED_TRAITS = ("female", "child", "ln_f0", "ln_vtl")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on disk whose manifest and hashes were checked."""

    path: Path
    manifest: Manifest

    def has(self, model: str) -> bool:
        """Tell whether the bundle carries this model."""
        return model in self.manifest.models

    def open(self, model: str, threads: int = 1) -> Model:
        """Build the interpreter of one model and compare its tensors with the manifest.

        Raises:
            BundleError: the bundle has no such model, or the file disagrees with the manifest.
            RuntimeUnavailable: nothing installed here can run it.
        """
        from .runtime import open_model

        info = self.manifest.models.get(model)
        if info is None:
            have = ", ".join(sorted(self.manifest.models))
            raise BundleError(f"{self.path}: no model '{model}' in this bundle (it has {have})")
        return open_model(self.path / info.files["cpu"].file, info, f"models.{model}", threads)


def default_bundle_path() -> Path:
    """Return where the bundle that ships with the package lies."""
    return Path(__file__).parent / "bundles" / "default.bundle"


def load_bundle(path: Path) -> Bundle:
    """Read a bundle's manifest and check every rule that needs no interpreter.

    Raises:
        BundleError: names the bundle, the field and what to do.
    """
    manifest_path = path / MANIFEST
    try:
        text = manifest_path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise BundleError(
            f"{path}: not a bundle: there is no {MANIFEST} in it; give the NAME.bundle directory"
        ) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise BundleError(f"{manifest_path}: cannot be read ({exc})") from exc
    try:
        data = json.loads(text, object_pairs_hook=_no_duplicates)
        manifest = _parse(data)
        _check(path, manifest)
    except (BundleError, ValueError, RecursionError) as exc:
        raise BundleError(f"{path}: {exc}; re-create the bundle or install it again") from exc
    return Bundle(path, manifest)


def manifest_json(manifest: Manifest) -> str:
    """Return the exact text of `manifest.json`: sorted keys, two spaces, a final newline."""
    tree = {k: v for k, v in asdict(manifest).items() if v or k not in LATER_SECTIONS}
    return json.dumps(tree, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write_bundle(path: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> Bundle:
    """Write a bundle beside its final place, check it as a device would, then rename it.

    Args:
        path: `NAME.bundle`; an existing one is replaced only after the new one has been checked.
        manifest: what to write; its hashes must be those of `contents`.
        contents: file name → bytes, without the manifest.

    Raises:
        BundleError: what was given breaks the contract.
        StorageError: the disk refused.
    """
    with replace_directory(path) as folder:
        try:
            for name, content in contents.items():
                (folder / name).write_bytes(content)
            (folder / MANIFEST).write_text(manifest_json(manifest), encoding="utf-8")
        except OSError as exc:
            raise StorageError(f"{path}: cannot be written ({exc}); free some space") from exc
        load_bundle(folder)
    return Bundle(path, manifest)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise BundleError(f"{key}: written twice in {MANIFEST}")
        found[key] = value
    return found


def _parse(data: Any) -> Manifest:
    if not isinstance(data, dict):
        raise BundleError(f"{MANIFEST} is not a JSON object")
    found = data.get("format")
    if found != FORMAT:
        raise BundleError(f"format: is {found!r}, this earsight reads {FORMAT}")
    return read_dataclass(Manifest, data, BundleError)


def _check(path: Path, manifest: Manifest) -> None:
    if manifest.frontend.fingerprint != (own := manifest.frontend.spec.fingerprint()):
        raise BundleError(
            f"frontend.fingerprint: is {manifest.frontend.fingerprint[:12]}, "
            f"this earsight computes {own[:12]} from frontend.spec"
        )
    for name in REQUIRED_MODELS:
        if name not in manifest.models:
            raise BundleError(f"models.{name}: missing")
    for name in manifest.models:
        if name not in KNOWN_MODELS:
            raise BundleError(f"models.{name}: unknown model, known are {', '.join(KNOWN_MODELS)}")
    for name in REQUIRED_TRAITS if manifest.traits else ():
        if name not in manifest.traits:
            raise BundleError(f"traits.{name}: missing")
    _check_tensors(manifest)
    if manifest.embedding.dim < 1 or not manifest.embedding.space_id:
        raise BundleError("embedding: dim must be positive and space_id not empty")
    files = _all_files(manifest)
    check_compiled(manifest)
    for where, info in files:
        _check_file(path, where, info)


def _check_tensors(manifest: Manifest) -> None:
    """Hold the models to the shapes the device's stages are written for."""
    spec, dim = manifest.frontend.spec, manifest.embedding.dim
    expected = {
        "voice_encoder": ("inputs", "features", (1, *input_shape(spec))),
        "face_encoder": ("outputs", "embedding", (1, dim)),
        "portrait_decoder": ("inputs", "embedding", (1, dim)),
    }
    for model, (side, tensor, shape) in expected.items():
        if model in manifest.models:
            _expect(manifest, model, side, tensor, shape)
    _expect(manifest, "voice_encoder", "outputs", "embedding", (1, dim))
    for trait in manifest.traits:
        _expect(manifest, "voice_encoder", "outputs", trait, (1, 1))
    _check_detector(manifest)
    features = manifest.models["voice_encoder"].inputs["features"]
    coded = isinstance(spec, LogMelSpec) and features.dtype == "int8"
    if coded and (features.scale, features.zero_point) != (INPUT_SCALE, 0):
        raise BundleError(
            f"models.voice_encoder.inputs.features.scale: is {features.scale} with zero point "
            f"{features.zero_point}, feature codes need exactly {INPUT_SCALE} and 0"
        )


def _check_detector(manifest: Manifest) -> None:
    """Hold a face detector to one box and one pair of scores for each anchor."""
    info, model = manifest.face_detector, manifest.models.get("face_detector")
    if (info is None) != (model is None):
        raise BundleError("face_detector: the section and models.face_detector go together")
    if info is None or model is None:
        return
    image = model.inputs.get("image")
    if image is None or len(image.shape) != 4 or image.shape[0] != 1 or image.shape[3] != 3:
        raise BundleError("models.face_detector.inputs.image: must be there, (1, h, w, 3)")
    if len(info.strides) != len(info.anchors) or min(info.strides, default=0) < 1 or info.std <= 0:
        raise BundleError("face_detector: strides and anchors must go together, std be positive")
    boxes = info.count(image.shape[2], image.shape[1])
    _expect(manifest, "face_detector", "outputs", "boxes", (1, boxes, 4))
    _expect(manifest, "face_detector", "outputs", "scores", (1, boxes, 2))


def _expect(manifest: Manifest, model: str, side: str, tensor: str, shape: tuple[int, ...]) -> None:
    tensors: Mapping[str, TensorInfo] = getattr(manifest.models[model], side)
    where = f"models.{model}.{side}.{tensor}"
    if tensor not in tensors:
        raise BundleError(f"{where}: missing")
    if tensors[tensor].shape != shape:
        raise BundleError(f"{where}.shape: is {tensors[tensor].shape}, must be {shape}")


def _all_files(manifest: Manifest) -> list[tuple[str, FileInfo]]:
    found = [(f"files.{name}", info) for name, info in manifest.files.items()]
    for name, model in manifest.models.items():
        if "cpu" not in model.files:
            raise BundleError(f"models.{name}.files.cpu: missing")
        found += [(f"models.{name}.files.{t}", info) for t, info in model.files.items()]
    return found


def _check_file(path: Path, where: str, info: FileInfo) -> None:
    if Path(info.file).name != info.file or info.file in ("", ".", "..", MANIFEST):
        raise BundleError(f"{where}.file: '{info.file}' is not a plain file name")
    try:
        content = (path / info.file).read_bytes()
    except OSError as exc:
        raise BundleError(f"{where}.file: '{info.file}' cannot be read ({exc.strerror})") from exc
    if len(content) != info.bytes:
        raise BundleError(f"{where}.bytes: '{info.file}' has {len(content)}, not {info.bytes}")
    if (digest := hashlib.sha256(content).hexdigest()) != info.sha256:
        raise BundleError(
            f"{where}.sha256: '{info.file}' is damaged "
            f"(it has {digest[:12]}…, not {info.sha256[:12]}…)"
        )
    check_content(where, content)
