"""What is read out of a .tflite file is what an interpreter says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.bundle import load_bundle
from edge.runtime import find_backend

pytest.importorskip("tensorflow", reason="the [convert] extra is not installed")
from convert.flatbuffer import TfliteModel

TINY = Path(__file__).parent / "data" / "tiny.bundle"
MODELS = ("voice_encoder", "face_encoder", "portrait_decoder")


@pytest.fixture(params=MODELS)
def path(request: pytest.FixtureRequest) -> Path:
    return TINY / f"{request.param}.tflite"


def test_tensors_agree_with_the_interpreter(path: Path) -> None:
    model = TfliteModel(path.read_bytes())
    interpreter = find_backend().module.Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details() + interpreter.get_output_details():
        info = model.tensor_info(detail["index"])
        assert info.shape == tuple(detail["shape"])
        assert (info.scale, info.zero_point) == pytest.approx(detail["quantization"])


def test_serializing_changes_nothing_that_matters(path: Path) -> None:
    model = TfliteModel(path.read_bytes())
    again = TfliteModel(model.content())
    assert again.operators == model.operators
    assert again.min_runtime() == model.min_runtime() != ""


def test_a_sound_model_has_no_problems(path: Path) -> None:
    assert list(TfliteModel(path.read_bytes()).problems()) == []


def test_macs_of_a_known_model() -> None:
    """One dense layer of 16 outputs and four of one, on 2 x 8 pooled values."""
    info = load_bundle(TINY).manifest.models["voice_encoder"]
    assert info.macs == 16 * 16 + 4 * 16


def test_a_float_model_is_reported(tmp_path: Path) -> None:
    import tensorflow as tf

    given = tf.keras.layers.Input(batch_shape=(1, 4))
    model = tf.keras.Model(given, tf.keras.layers.Dense(2)(given))
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    assert any("float32, not int8" in problem for problem in TfliteModel(content).problems())
