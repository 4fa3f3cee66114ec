"""Stand-ins for what a Coral brings: library, compiled files, traces in the kernel."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.accelerator.compiled import EDGETPU_OPERATOR
from edge.accelerator.delegate import EDGETPU
from edge.bundle import Bundle, load_bundle, write_bundle
from edge.manifest import CompiledInfo, file_info

SOURCE = Path(__file__).with_suffix(".c")
USB_NODE = "dev/bus/usb/002/003"


def build_library(folder: Path) -> Path:
    """Compile the stand-in for libedgetpu; skip the test where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library = folder / "libedgetpu.so.1"
    flags = ["-O1", "-Wall", "-Werror", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, "-o", str(library), str(SOURCE)], check=True)
    return library


def compile_model(content: bytes) -> bytes:
    """Return a model whose one operation is what the Edge TPU compiler leaves of it."""
    from convert.flatbuffer import TfliteModel

    model = TfliteModel(content)
    schema: Any = model.schema
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = EDGETPU_OPERATOR.decode(), 1
    operator = schema.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs, operator.outputs = list(model.graph.inputs), list(model.graph.outputs)
    operator.customOptions = list(b"a package")
    model.model.operatorCodes, model.graph.operators = [code], [operator]
    return model.content()


def compile_bundle(source: Path, out: Path) -> Bundle:
    """Write a bundle with a compiled file beside each model's own."""
    bundle = load_bundle(source)
    manifest = bundle.manifest
    contents, models = {}, {}
    for file in manifest.files.values():
        contents[file.file] = (source / file.file).read_bytes()
    for name, info in manifest.models.items():
        own = (source / info.files["cpu"].file).read_bytes()
        compiled = compile_model(own)
        file_name = f"{name}_edgetpu.tflite"
        contents |= {info.files["cpu"].file: own, file_name: compiled}
        files = {**info.files, EDGETPU: file_info(file_name, compiled)}
        models[name] = replace(info, files=files)
    made = CompiledInfo(
        compiler="16.0.384591198",
        order=tuple(models),
        sources={name: info.files["cpu"].sha256 for name, info in models.items()},
        mapped=dict.fromkeys(models, 1.0),
    )
    return write_bundle(out, replace(manifest, models=models, compiled={EDGETPU: made}), contents)


def plug_usb(root: Path, vendor: str = "18d1", product: str = "9302", mode: int = 0o660) -> Path:
    """Let the kernel of `root` see a USB stick; return its device node."""
    device = root / "sys/bus/usb/devices/2-1"
    device.mkdir(parents=True, exist_ok=True)
    facts = {"idVendor": vendor, "idProduct": product, "busnum": "2", "devnum": "3"}
    for name, text in {**facts, "speed": "5000"}.items():
        (device / name).write_text(f"{text}\n")
    node = root / USB_NODE
    node.parent.mkdir(parents=True, exist_ok=True)
    node.touch()
    node.chmod(mode)
    return node


def plug_pci(root: Path, driver: bool) -> None:
    """Let the kernel of `root` see a PCIe card, with or without its driver's node."""
    device = root / "sys/bus/pci/devices/0001:03:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x1ac1\n")
    (device / "device").write_text("0x089a\n")
    if driver:
        (root / "dev").mkdir()
        (root / "dev/apex_0").touch()
