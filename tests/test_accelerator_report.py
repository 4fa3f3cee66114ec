"""What doctor and bench say of the accelerator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge import bench, cli
from edge.accelerator.checkup import examine_accelerator
from edge.accelerator.delegate import AcceleratorSettings
from edge.accelerator.session import AcceleratorError
from edge.bundle import Bundle, load_bundle
from edge.config import BundleSettings, DeviceConfig
from edge.doctor import check_accelerator
from tests.fake_edgetpu import build_library, compile_bundle, plug_usb

pytest.importorskip("ai_edge_litert", reason="the stand-in's models are made with LiteRT's schema")
TINY = Path(__file__).parent / "data" / "tiny.bundle"
NOTHING = Path("/nonexistent")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return compile_bundle(TINY, tmp_path_factory.mktemp("bundle") / "tiny.bundle")


@pytest.fixture
def behaviour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "behaviour"
    path.write_text("ok")
    monkeypatch.setenv("FAKE_EDGETPU", str(path))
    return path


def test_what_doctor_says_where_there_is_none(bundle: Bundle, tmp_path: Path) -> None:
    plain = load_bundle(TINY)
    auto, asked = AcceleratorSettings(), AcceleratorSettings(use="edgetpu")
    status, text = examine_accelerator(AcceleratorSettings(use="cpu"), plain, NOTHING)
    assert (status, text.startswith("not to be used; models run on the CPU")) == ("ok", True)
    assert examine_accelerator(auto, plain, NOTHING)[0] == "ok"
    assert examine_accelerator(asked, plain, NOTHING)[0] == "fail"
    plug_usb(tmp_path)
    status, text = examine_accelerator(auto, plain, tmp_path)
    assert (status, "USB 18d1:9302, firmware loaded, but the bundle has no files" in text) == (
        "warn", True,
    )  # fmt: skip
    status, text = examine_accelerator(auto, bundle, NOTHING)
    assert (status, text.startswith("none is plugged in")) == ("ok", True)


def test_what_doctor_says_after_trying(
    library: Path, bundle: Bundle, tmp_path: Path, behaviour: Path
) -> None:
    plug_usb(tmp_path)
    settings = AcceleratorSettings(library=str(library))
    status, text = examine_accelerator(settings, bundle, tmp_path)
    assert status == "ok"
    assert "RuntimeVersion(14); USB 18d1:9302, firmware loaded" in text
    assert "voice_encoder" in text
    assert " ms cold " in text
    behaviour.write_text("mismatch")
    status, text = examine_accelerator(settings, bundle, tmp_path)
    assert (status, "does not fit" in text, "models run on the CPU" in text) == ("warn", True, True)
    asked = replace(settings, use="edgetpu")
    assert examine_accelerator(asked, bundle, tmp_path)[0] == "fail"


def test_the_check_reads_the_configured_bundle() -> None:
    config = DeviceConfig(
        bundle=BundleSettings(path=str(TINY)), accelerator=AcceleratorSettings(use="edgetpu")
    )
    assert check_accelerator(config)[0] == "fail"


def test_bench_tells_warm_from_cold(library: Path, bundle: Bundle, behaviour: Path) -> None:
    settings = AcceleratorSettings(use="edgetpu", library=str(library), timeout_s=60.0)
    rows = bench.measure_accelerator(bundle.path, settings)
    assert [row.name for row in rows] == [
        f"{model} on edgetpu: {kind}"
        for model in ("face_encoder", "portrait_decoder", "voice_encoder")
        for kind in ("cold", "warm", "switched")
    ]
    assert all(0 < row.p50 <= row.p95 for row in rows)
    assert bench.measure_accelerator(TINY, settings) == []
    assert bench.measure_accelerator(bundle.path, AcceleratorSettings(use="cpu")) == []
    behaviour.write_text("refuse")
    with pytest.raises(AcceleratorError):
        bench.measure_accelerator(bundle.path, settings)


def test_a_bundle_says_what_it_is_compiled_for(
    bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bundle", "show", str(bundle.path)]) == 0
    assert "edgetpu    compiled by 16.0.384591198: face_encoder 100 %" in capsys.readouterr().out
