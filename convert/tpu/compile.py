"""A bundle whose models run on the CPU → one with a file for the Edge TPU beside each.

check → compile all models together → hold the result to the gate → pack.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edge.accelerator.compiled import is_compiled
from edge.accelerator.delegate import EDGETPU
from edge.bundle import MANIFEST, Bundle, write_bundle
from edge.errors import EarsightError
from edge.manifest import CompiledInfo, FileInfo, Manifest, ModelInfo, file_info
from edge.storage import write_private

from ..flatbuffer import TfliteModel
from .check import bundle_models
from .compiler import Compilation, CompilationError, CompilerOptions, compile_together

LOG = "edgetpu_compiler.log"


def compile_bundle(bundle: Bundle, out: Path, options: CompilerOptions, gate: float) -> Bundle:
    """Compile every model of a bundle in one run and write the bundle with both files of each.

    Args:
        bundle: its files for the CPU are compiled; those of an earlier compilation are replaced.
        out: NAME.bundle; may be the bundle itself.
        options: how to run the compiler.
        gate: least share of each model's operations that must run on the Edge TPU, 0..1.

    Raises:
        CompilerUnavailable: there is no compiler.
        CompilationError: it failed; all it printed is beside `out`, NAME.bundle.log.
        EarsightError: less is mapped than the gate asks for.
        StorageError: the disk refused.
    """
    models = bundle_models(bundle)
    log_path = out.with_name(f"{out.name}.log")
    try:
        done = compile_together(models, options)
    except CompilationError as exc:
        write_private(log_path, exc.text.encode())
        raise CompilationError(f"{exc}: {log_path}", exc.text) from exc
    mapped = _mapped(models, done)
    for name, share in mapped.items():
        if share < gate:
            write_private(log_path, done.text.encode())
            raise EarsightError(
                f"{name}: {100 * share:.0f} % of its operations run on the Edge TPU, "
                f"{100 * gate:.0f} % are asked for; see {log_path} and earsight-convert tpu check"
            )
    manifest = bundle.manifest
    made = CompiledInfo(
        compiler=done.log.version,
        order=tuple(models),
        sources={name: manifest.models[name].files["cpu"].sha256 for name in models},
        mapped=mapped,
    )
    contents = {**_contents(bundle), LOG: done.text.encode()}
    infos: dict[str, ModelInfo] = {}
    for name in models:
        info = manifest.models[name]
        file = f"{Path(info.files['cpu'].file).stem}_edgetpu.tflite"
        contents[file] = done.files[name]
        _compare(name, info, done.files[name])
        files = {**info.files, EDGETPU: file_info(file, done.files[name])}
        infos[name] = replace(info, files=files)
    packed = replace(
        manifest,
        models={**manifest.models, **infos},
        files={**manifest.files, "edgetpu_log": file_info(LOG, contents[LOG])},
        compiled={**manifest.compiled, EDGETPU: made},
    )
    return write_bundle(out, packed, contents)


def _mapped(models: Mapping[str, bytes], done: Compilation) -> dict[str, float]:
    """Return the share of each model's operations that run on the Edge TPU, as the log says."""
    logs = {Path(log.input).stem: log for log in done.log.models}
    mapped = {}
    for name in models:
        share = logs[name].mapped if name in logs else None
        if share is None:
            raise EarsightError(
                f"{name}: the compiler's log does not say what is mapped; see {LOG}"
            )
        mapped[name] = share if is_compiled(done.files[name]) else 0.0
    return mapped


def _compare(name: str, info: ModelInfo, content: bytes) -> None:
    """Hold the compiled file's inputs and outputs to those of the file it was made from."""
    compiled = TfliteModel(content).model_info(FileInfo("", "", 0))
    if (compiled.inputs, compiled.outputs) != (info.inputs, info.outputs):
        raise EarsightError(f"{name}: the compiler changed its inputs or outputs; report it")


def _contents(bundle: Bundle) -> dict[str, bytes]:
    """Return every file of the bundle but the manifest."""
    manifest: Manifest = bundle.manifest
    listed = [
        *manifest.files.values(),
        *(f for m in manifest.models.values() for f in m.files.values()),
    ]
    names = {file.file for file in listed} - {MANIFEST}
    return {name: (bundle.path / name).read_bytes() for name in names}
