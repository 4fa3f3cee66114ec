"""Makes docs/parity.md and docs/parity/: every network at hand against its PyTorch original.

Run: make parity SHARED=FOLDER (needs PyTorch, an hour and up to 12 GB of memory)

The originals are built from their published descriptions (`torch_networks`). Where real weights are
at hand they are used; the papers' checkpoints are not, so those networks get made-up weights.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from convert.checkpoints.reading import read_tensors  # noqa: E402
from convert.cli import main as convert  # noqa: E402
from tests import make_checkpoint, torch_networks, torch_reference  # noqa: E402
from tests.torch_inputs import TRAINED, given  # noqa: E402

DOCS = ROOT / "docs" / "parity"
PEOPLE, PHOTOS = 24, 3
MADE_UP = {  # layout → what its file is called; weights by `make_checkpoint`
    "shape-of-sound": "best.pth.tar",
    "speech2face-voice": "s2f.npz",
    "speech2face-decoder": "decoder.npz",
}
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """One page."""

    title: str
    layout: str
    originals: Callable[[Arrays], Arrays]
    options: tuple[str, ...] = ()
    sees: bool = False  # faces, which are rendered for it


def traced(network: torch.nn.Module, x: np.ndarray, wanted: str, axes: dict[int, tuple]) -> Arrays:
    """Run a network and return its output and that of modules whose names match, channels last."""
    kept: Arrays = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: object, given: object, made: torch.Tensor) -> None:
            kept[name] = made.numpy().transpose(axes[made.ndim])

        return hook

    for name, module in network.named_modules():
        if re.fullmatch(wanted, name):
            module.register_forward_hook(keep(name))
    kept["output"] = torch_reference.run(network, x)
    return kept


def named(role: str, x: np.ndarray, kept: Arrays, prefix: str = "") -> Arrays:
    """Name arrays as `earsight-convert parity --original` wants them."""
    found = {f"{role}/{prefix}{n}": a for n, a in kept.items() if n != "output"}
    return {**found, f"{role}.input": x, f"{role}.output": kept["output"]}


def shape_of_sound(tensors: Arrays) -> Arrays:
    voice, face = torch_reference.shape_of_sound(tensors)
    heard, seen = given("voice"), given("face")
    blocks = traced(voice, heard.transpose(0, 3, 2, 1), r"model\.layer\d\.\d", {4: (0, 3, 2, 1)})
    bgr = ((seen[..., ::-1] * 255 - 127.5) / 127.5).transpose(0, 3, 1, 2)
    units = traced(face, bgr, r"model\.body\.\d+", {4: (0, 2, 3, 1)})
    return named("voice_encoder", heard, blocks, "V.") | named("face_encoder", seen, units, "F.")


def speech2face_voice(tensors: Arrays) -> Arrays:
    network = torch_reference.load(torch_networks.Speech2FaceVoice(), tensors)
    heard = given("speech2face-voice")
    kept = traced(network, heard.transpose(0, 3, 1, 2), r"norm\.\d", {4: (0, 2, 3, 1)})
    layers = {f"bn{int(n[5:]) + 1}": a for n, a in kept.items() if n != "output"}
    return named("voice_encoder", heard, layers | {"output": kept["output"]})


def speech2face_decoder(tensors: Arrays) -> Arrays:
    network = torch_reference.load(torch_networks.Speech2FaceDecoder(), tensors)
    embedding = given("speech2face-decoder")
    kept = traced(network, embedding, r"texture_gen\.[0246]", {4: (0, 2, 3, 1)})
    kept["output"] = kept["output"].transpose(0, 2, 3, 1)
    layers = {f"up{int(n[12:]) // 2 + 1}": a for n, a in kept.items() if n != "output"}
    return named("portrait_decoder", embedding, layers | {"output": kept["output"]})


def x_vector(tensors: Arrays) -> Arrays:
    heard = given("x-vector")
    network, x = torch_reference.x_vector(tensors), heard[..., 0].transpose(0, 2, 1)
    return named("voice_encoder", heard, traced(network, x, r"conv\d", {3: (0, 2, 1)}))


def mobile_face_net(tensors: Arrays) -> Arrays:
    network = torch_reference.load(torch_networks.MobileFaceNet(), tensors)
    seen = given("mobilefacenet")
    x = torch_reference.imagenet_normal(seen)
    kept = traced(network, x, r"features\.\d+\.conv\.3|conv[12]\.1|bn", {4: (0, 2, 3, 1)})
    return named("face_encoder", seen, kept)


def celeba(tensors: Arrays) -> Arrays:
    network, z = torch_reference.celeba_decoder(tensors), given("celeba-decoder")
    kept = traced(network, z, "convT.*", {4: (0, 2, 3, 1)})
    kept["output"] = kept["output"].transpose(0, 2, 3, 1)
    return named("portrait_decoder", z, kept, "decoder.")


def heads(tensors: Arrays) -> Arrays:
    found: Arrays = {}
    for part in ("voice", "image"):
        network, x = torch_reference.association_head(part, tensors), given(f"{part}_head")
        kept = traced(network, x, r"(fc|bn)\d", {2: (0, 1)})
        found |= named(f"{part}_head", x, kept, f"{part}_model_state_dict.")
    return found


CASES = (
    Case("Shape of Sound, made-up weights", "shape-of-sound", shape_of_sound, sees=True),
    Case("Speech2Face's voice encoder, made-up weights", "speech2face-voice", speech2face_voice,
         ("--samples", "2", "--memory", "12")),
    Case("Speech2Face's face decoder, made-up weights", "speech2face-decoder", speech2face_decoder,
         ("--samples", "4")),
    Case("x-vector, trained weights", "x-vector", x_vector),
    Case("MobileFaceNet, trained weights", "mobilefacenet", mobile_face_net, sees=True),
    Case("CelebA decoder, trained weights", "celeba-decoder", celeba),
    Case("Association heads, trained weights", "association-heads", heads),
)  # fmt: skip


def main() -> int:
    """Write the pages asked for; returns 1 when a gate is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True, help="folder of test assets")
    parser.add_argument("--only", choices=[case.layout for case in CASES], help="one page")
    args = parser.parse_args()
    DOCS.mkdir(parents=True, exist_ok=True)
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        people = Path(folder) / "rendered_people"
        people.mkdir()
        cases = [case for case in CASES if args.only in (None, case.layout)]
        if any(case.sees for case in cases):
            render_people(args.shared / "data" / "makehuman" / "slim_z.npz", people)
        for case in cases:
            missed |= _page(case, args.shared / "data", people)
    return missed


def render_people(geometry: Path, folder: Path) -> None:
    """Render made-up people, each with photos in a folder of their own."""
    from PIL import Image

    from convert.population.law import draw_person
    from convert.population.pictures import load_pictures, render_people

    drawn = [draw_person("face_only", i, 77) for i in range(PEOPLE)]
    with tempfile.TemporaryDirectory() as work:
        render_people(drawn, PHOTOS, Path(work), geometry, workers=1)
        pictures = load_pictures(Path(work))
    for person, photos in zip(pictures.ids, pictures.photos, strict=True):
        (folder / person).mkdir()
        for number, photo in enumerate(photos):
            Image.fromarray(photo).save(folder / person / f"{number}.png")


def _page(case: Case, data: Path, people: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        trained = case.layout in TRAINED
        if trained:
            checkpoint = data / "weights" / TRAINED[case.layout]
        else:
            checkpoint = Path(folder) / MADE_UP[case.layout]
            make_checkpoint.main(case.layout, checkpoint)
        original = Path(folder) / "original.npz"
        np.savez(original, **case.originals(read_tensors(checkpoint)))
        options = ["--layout", case.layout, "--original", str(original), "--title", case.title]
        options += ["--voices", str(data / "voices")]
        options += ["--faces", str(people)] if case.sees else []
        if trained:  # made-up weights tell nobody apart
            options += ["--speakers", str(data / "voices")]
            options += ["--people", str(people)] if case.sees else []
        return convert(
            ["parity", str(checkpoint), *options, *case.options, "--out",
             str(DOCS / f"{case.layout}.md")]
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
