"""Imported models and where they come from → one bundle."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from edge import __version__
from edge.audio.frontend import FrontendSpec
from edge.bundle import FORMAT, Bundle, write_bundle
from edge.errors import BundleError
from edge.manifest import EmbeddingInfo, FrontendInfo, Manifest, file_info

from .steps import Imported, Source

KEPT = ("voice_encoder", "face_encoder", "portrait_decoder")
MEASURED = ("cosine", "cosine_min", "psnr_db", "psnr_db_min")


def pack_imported(
    out: Path, sources: Sequence[Source], imported: Sequence[Imported], licence: str
) -> Bundle:
    """Write a bundle of imported models.

    Raises:
        BundleError: there is no voice encoder, or the models do not share one space.
        StorageError: the disk refused.
    """
    spec = check_roles(out, sources)
    dims = {_dim(model) for model in imported}
    if len(dims) > 1:
        raise BundleError(
            f"{out}: embeddings of {' and '.join(map(str, sorted(dims)))} dimensions share no space"
        )
    contents = {model.path.name: model.path.read_bytes() for model in imported}
    report = {
        model.role: {"source": model.source, "samples": model.samples, **model.figures}
        for model in imported
    }
    text = json.dumps(report, indent=2, sort_keys=True) + "\n"
    contents["report.json"] = text.encode()
    digests = "".join(m.info.files["cpu"].sha256 for m in imported if m.role != "portrait_decoder")
    manifest = Manifest(
        format=FORMAT,
        name=out.stem,
        version=__version__,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        frontend=FrontendInfo(spec, spec.fingerprint()),
        models={model.role: model.info for model in imported},
        embedding=EmbeddingInfo(
            dims.pop(), "cosine", hashlib.sha256(digests.encode()).hexdigest()[:16]
        ),
        traits={},
        face_alignment=sources[0].layout.alignment,
        measured={
            f"{model.role}_{name}": round(model.figures[name], 5)
            for model in imported
            for name in MEASURED
            if name in model.figures
        },
        licence=licence,
        model_card=_card(out.stem, imported, licence),
        files={"report": file_info("report.json", contents["report.json"])},
    )
    return write_bundle(out, manifest, contents)


def check_roles(out: Path, sources: Sequence[Source]) -> FrontendSpec:
    """Return the front-end of a bundle of these sources, before anything is converted.

    Raises:
        BundleError: there is no voice encoder among them, or two models of one kind.
    """
    roles = [role for source in sources for role in source.roles]
    spec = next((s.layout.frontend for s in sources if s.layout.frontend is not None), None)
    if spec is None or "voice_encoder" not in roles:
        raise BundleError(
            f"{out}: a bundle needs a voice encoder and this import has "
            f"{' and '.join(roles)}; add one with --add, or give --out FOLDER for models alone"
        )
    if len(set(roles)) < len(roles) or not set(roles) <= set(KEPT):
        raise BundleError(f"{out}: {', '.join(roles)} do not make one bundle")
    return spec


def _dim(model: Imported) -> int:
    """Return the dimensions of the embedding a model gives or takes."""
    decodes = model.role == "portrait_decoder"
    tensors = model.info.inputs if decodes else model.info.outputs
    return tensors["embedding"].shape[-1]


def _card(name: str, imported: Sequence[Imported], licence: str) -> str:
    lines = [f"# {name}", "", "Networks trained elsewhere and imported; licence: " + licence, ""]
    for model in imported:
        lines.append(f"- {model.role}: {model.source}, calibrated on {model.samples}")
    lines += [
        "",
        "How well they match voices and faces is what their authors say; here int8 was only",
        "compared with float (report.json). Traits are not estimated.",
        "",
        "Not for identifying anybody, nor for any decision about a person.",
    ]
    return "\n".join(lines) + "\n"
