"""What the Edge TPU compiler is expected to take, before it runs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import InputError

pytest.importorskip("flatbuffers", reason="LiteRT's reader of the format is not installed")
from convert import cli
from convert.flatbuffer import TfliteModel
from convert.tpu.advice import advise, advise_model, doubts
from convert.tpu.check import Check, check, read_models
from convert.tpu.graph import Graph, Operation, Tensor, read_graph
from convert.tpu.mapping import Prediction, predict
from convert.tpu.memory import MIB, estimate
from convert.tpu.operators import OPERATORS, REGISTERED
from convert.tpu.report import as_json, describe
from convert.tpu.status import Status
from tests.fake_edgetpu import compile_model

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "edge/bundles/default.bundle"
TINY = ROOT / "tests/data/tiny.bundle"


def data(*shape: int, dtype: str = "int8", dynamic: bool = False) -> Tensor:
    """Return a tensor that is computed."""
    return Tensor("x", shape, dtype, None, 1, dynamic)


def constant(values: Any, dtype: str = "int32", scales: int = 1) -> Tensor:
    array = np.asarray(values, {"int32": np.int32, "int8": np.int8}[dtype])
    return Tensor("c", array.shape, dtype, array.tobytes(), scales)


def operation(name: str, *inputs: Tensor, out: Tensor | None = None, **options: Any) -> Operation:
    version = options.pop("version", 1)
    return Operation(name, version, inputs, (out or inputs[0],), options)


def predicted(*operations: Operation) -> Prediction:
    return predict(Graph("m", operations, (), ()))


def alone(op: Operation) -> tuple[Status, str]:
    (placement,) = predicted(op).placements
    return placement.status, placement.why


MAP = data(1, 8, 8, 16)
KERNEL = constant(np.zeros((4, 3, 3, 16)), "int8", scales=4)
ROW = data(1, 64)
WEIGHTS = constant(np.zeros((32, 64)), "int8")


@pytest.mark.parametrize(
    ("op", "status", "why"),
    [
        (operation("CONV_2D", MAP, KERNEL), Status.MAPPED, ""),
        (operation("CONV_2D", MAP, KERNEL, dilationWFactor=2, dilationHFactor=1),
         Status.UNSPECIFIED, "dilation"),
        (operation("CONV_2D", MAP, data(4, 3, 3, 16)), Status.RANK, "innermost"),
        (operation("CONV_2D", MAP, data(1, 3, 3, 16)), Status.NOT_CONSTANT, "computed"),
        (operation("CONV_2D", data(2, 8, 8, 16), KERNEL), Status.RANK, "innermost"),
        (operation("CONV_2D", data(1, 8, 8, 16, dtype="float32"), KERNEL), Status.DTYPE, "float32"),
        (operation("FULLY_CONNECTED", ROW, WEIGHTS, out=data(1, 32)), Status.MAPPED, ""),
        (operation("FULLY_CONNECTED", ROW, WEIGHTS, out=data(3, 32)),
         Status.TWO_DIMENSIONS, "more than one row"),
        (operation("FULLY_CONNECTED", ROW, WEIGHTS, out=data(1, 32), weightsFormat=1),
         Status.UNSPECIFIED, "default format"),
        (operation("FULLY_CONNECTED", ROW, data(32, 64), out=data(1, 32)),
         Status.NOT_CONSTANT, "computed"),
        (operation("FULLY_CONNECTED", ROW, WEIGHTS, version=9), Status.VERSION, "9, at most 8"),
        (operation("MAX_POOL_2D", MAP, fusedActivationFunction=1), Status.UNSPECIFIED, "fused"),
        (operation("AVERAGE_POOL_2D", MAP), Status.MAPPED, ""),
        (operation("CONCATENATION", ROW, ROW, ROW), Status.MAPPED, ""),
        (operation("CONCATENATION", ROW, constant([[5] * 4], "int8")), Status.MAPPED, ""),
        (operation("CONCATENATION", ROW, constant([[5, 6]], "int8")),
         Status.UNSPECIFIED, "padding"),
        (operation("MEAN", MAP, constant([1, 2])), Status.MAPPED, ""),
        (operation("MEAN", MAP, constant([-1])), Status.MAPPED, ""),
        (operation("MEAN", data(1, 8, 8, 6), constant([3])), Status.UNSPECIFIED, "multiple of 4"),
        (operation("MEAN", MAP, constant([0])), Status.UNSPECIFIED, "batch"),
        (operation("MEAN", data(1, 256, 128, 3), constant([1, 2])), Status.UNSPECIFIED, "large"),
        (operation("MEAN", data(1, 64, 128, 3), constant([1, 2])), Status.MAPPED, ""),
        (operation("SUM", MAP, constant([0])), Status.UNSPECIFIED, "batch"),
        (operation("PAD", MAP, constant([[0, 0], [1, 1], [1, 1], [0, 0]])), Status.MAPPED, ""),
        (operation("PAD", MAP, constant([[1, 0], [0, 0]])), Status.UNSPECIFIED, "batch"),
        (operation("PACK", ROW, ROW, axis=0), Status.UNSPECIFIED, "batch"),
        (operation("PRELU", MAP, constant(np.zeros((1, 1, 16)), "int8")), Status.MAPPED, ""),
        (operation("PRELU", MAP, constant(np.zeros((8, 8, 16)), "int8")),
         Status.UNSPECIFIED, "position"),
        (operation("SOFTMAX", data(1, 1000)), Status.MAPPED, ""),
        (operation("SOFTMAX", data(1, 16_001)), Status.UNSPECIFIED, "16000"),
        (operation("SOFTMAX", data(4, 10)), Status.TWO_DIMENSIONS, "row"),
        (operation("SPLIT", constant(3), MAP), Status.MAPPED, ""),
        (operation("SPLIT", constant(-4), MAP), Status.UNSPECIFIED, "batch"),
        (operation("STRIDED_SLICE", MAP, constant([0]), constant([1]), constant([1])),
         Status.MAPPED, ""),
        (operation("STRIDED_SLICE", MAP, constant([0]), constant([1]), constant([2])),
         Status.UNSPECIFIED, "strides"),
        (operation("STRIDED_SLICE", MAP, constant([0]), constant([1]), constant([1]),
                   newAxisMask=1), Status.UNSPECIFIED, "new axis"),
        (operation("RESIZE_NEAREST_NEIGHBOR", MAP, constant([16, 16]), version=2),
         Status.MAPPED, ""),
        (operation("RESIZE_NEAREST_NEIGHBOR", MAP, constant([16, 16]), version=3),
         Status.VERSION, "version 3, at most 2"),
        (operation("TRANSPOSE_CONV", constant([1, 2, 2, 1]), KERNEL, MAP, version=3),
         Status.MAPPED, ""),
        (operation("TRANSPOSE_CONV", constant([1, 2, 2, 1]), data(1, 3, 3, 16), MAP),
         Status.NOT_CONSTANT, "computed"),
        (operation("LEAKY_RELU", MAP), Status.UNSUPPORTED, "no such operation"),
        (operation("QUANTIZE", data(1, 4, dtype="float32"), out=ROW), Status.UNSPECIFIED, "int8"),
    ],
)  # fmt: skip
def test_each_known_limitation(op: Operation, status: Status, why: str) -> None:
    found, text = alone(op)
    assert (found, why in text) == (status, True), (found, text)


def test_the_first_refused_operation_ends_the_run() -> None:
    found = predicted(
        operation("QUANTIZE", data(1, 8, 8, 16, dtype="float32"), out=MAP),  # ends nothing
        operation("CONV_2D", MAP, KERNEL),
        operation("SQRT", MAP),
        operation("CONV_2D", MAP, KERNEL),
        operation("LEAKY_RELU", MAP),
    )
    assert [p.status for p in found.placements] == [
        Status.UNSPECIFIED,
        Status.MAPPED,
        Status.UNSUPPORTED,
        Status.SUBGRAPH,
        Status.UNSUPPORTED,
    ]
    assert found.mapped == 1
    assert found.first_refused is found.placements[2]
    assert "standard deviation" in advise(found.placements[2], found)


@pytest.mark.parametrize(
    ("op", "reason", "advice"),
    [
        (operation("TRANSPOSE_CONV", constant([1]), KERNEL, MAP, version=4),
         "TRANSPOSE_CONV version 4: the compiler knows 3", "fused ReLU"),
        (operation("TILE", MAP, version=3), "TILE version 3", "UpSampling2D"),
        (operation("FULLY_CONNECTED", ROW, WEIGHTS, version=12), "version 12", "flatten"),
        (replace(operation("GELU", MAP), code=150), "GELU is newer", "SiLU"),
        (operation("RELU", data(1, 8, 8, 4, dynamic=True)), "not fixed", "batch fixed to 1"),
    ],
)  # fmt: skip
def test_what_makes_the_compiler_refuse_the_whole_model(
    op: Operation, reason: str, advice: str
) -> None:
    found = predicted(operation("RELU", MAP), op)
    (refused,) = found.refused
    assert reason in refused
    assert advice in advise_model(refused)
    assert (found.mapped, found.whole) == (0, False)


def test_an_older_runtime_takes_less() -> None:
    graph = Graph("m", (operation("TRANSPOSE", MAP, constant([0, 2, 1, 3])),), (), ())
    assert predict(graph).whole
    (placement,) = predict(graph, runtime=13).placements
    assert placement.why == "it needs runtime 14, not 13"


def test_control_flow_is_refused() -> None:
    graph = Graph("m", (operation("RELU", MAP),), (), (), subgraphs=3)
    assert "3 subgraphs" in predict(graph).refused[0]


def test_every_refusal_has_advice_and_every_rule_a_source() -> None:
    for rule in OPERATORS.values():
        assert rule.source
        assert 10 <= rule.runtime <= 14
    for name in ["LEAKY_RELU", "HARD_SWISH", "DEPTH_TO_SPACE", "GATHER", "BATCH_MATMUL", "TILE"]:
        found = predicted(operation(name, MAP))
        (placement,) = found.placements
        assert placement.status is Status.UNSUPPORTED
        assert advise(placement, found) != ""
        assert name in REGISTERED  # it stays on the CPU, the compiler reads the file
    assert all(rule.versions >= 1 for rule in OPERATORS.values())


@pytest.mark.parametrize(
    ("consumer", "words"),
    [("SQRT", "standard deviation"), ("GELU", "use ReLU"), ("ADD", "stayed in floating point"),
     ("", "inference_output_type")],
)  # fmt: skip
def test_floating_point_within_a_model_is_blamed_on_what_asks_for_it(
    consumer: str, words: str
) -> None:
    float_row = Tensor("float", (1, 64), "float32")
    after = [operation(consumer, float_row)] if consumer else []
    found = predicted(operation("DEQUANTIZE", ROW, out=float_row), *after)
    assert found.first_refused is not None
    assert words in advise(found.first_refused, found)


def test_doubts_are_told_apart_from_refusals() -> None:
    per_channel = constant(np.zeros((32, 64)), "int8", scales=32)
    found = predicted(
        operation("FULLY_CONNECTED", ROW, per_channel, out=data(1, 32)),
        operation("SQUARED_DIFFERENCE", ROW, ROW),
        operation("RESIZE_BILINEAR", MAP, constant([16, 16])),
        operation("RESIZE_BILINEAR", MAP, constant([32, 32])),
    )
    assert found.whole
    told = {name: (count, why) for name, count, why in doubts(found)}
    assert told["FULLY_CONNECTED"][1].startswith("its weights have a scale per channel")
    assert "could not be read again" in told["SQUARED_DIFFERENCE"][1]
    assert told["RESIZE_BILINEAR"][0] == 2


@pytest.mark.parametrize(("mib", "fits"), [(1, "yes"), (4, "perhaps"), (9, "no")])
def test_the_parameters_of_a_set_against_the_cache(mib: int, fits: str) -> None:
    weights = Tensor("w", (mib * MIB,), "int8", bytes(mib * MIB), 1)
    one = predicted(operation("FULLY_CONNECTED", ROW, weights, out=data(1, 4)))
    memory = estimate([one])
    assert (memory.parameters, memory.fits) == (mib * MIB, fits)
    shared = predicted(
        operation("FULLY_CONNECTED", ROW, weights, out=data(1, 4)),
        operation("FULLY_CONNECTED", ROW, weights, out=data(1, 4)),
    )
    assert estimate([shared]).parameters == mib * MIB
    assert estimate([one, one]).parameters == 2 * mib * MIB
    report = list(describe(Check((one,), memory)))
    assert any("sent with every run" in line for line in report) == (fits != "yes")


def test_the_first_model_has_the_memory_before_the_others() -> None:
    weights = Tensor("w", (3 * MIB,), "int8", bytes(3 * MIB), 1)
    one = predicted(operation("FULLY_CONNECTED", ROW, weights, out=data(1, 4)))
    memory = estimate([replace(one, name=name) for name in "abcd"])
    assert memory.models == {"a": "yes", "b": "perhaps", "c": "no", "d": "no"}


def test_the_networks_that_ship_pass_whole() -> None:
    found = check(read_models(SHIPPED))
    assert [p.name for p in found.predictions] == [
        "voice_encoder",
        "portrait_decoder",
        "face_encoder",
    ]
    assert found.whole
    assert all(prediction.refused == () for prediction in found.predictions)
    assert found.memory.models["voice_encoder"] == "yes"


def test_the_document_shows_what_the_command_says() -> None:
    text = (ROOT / "docs/edge_tpu.md").read_text(encoding="utf-8")
    assert "\n".join(describe(check(read_models(SHIPPED)))) in text


def test_what_is_read_is_what_the_file_says() -> None:
    graph = read_graph("m", (SHIPPED / "face_encoder.tflite").read_bytes())
    (given,) = graph.inputs
    assert (given.shape, given.dtype, given.constant, given.scales) == (
        (1, 112, 112, 3), "int8", False, 1,
    )  # fmt: skip
    kernel = next(op for op in graph.operations if op.name == "CONV_2D").inputs[1]
    assert (kernel.constant, kernel.scales) == (True, kernel.shape[0])


@pytest.fixture
def too_new(tmp_path: Path) -> Path:
    """Return the shipped face encoder with a version of average pooling that no compiler knows."""
    model = TfliteModel((SHIPPED / "face_encoder.tflite").read_bytes())
    for code in model.model.operatorCodes:
        if code.builtinCode == model.schema.BuiltinOperator.AVERAGE_POOL_2D:
            code.version = 9
    path = tmp_path / "encoder.tflite"
    path.write_bytes(model.content())
    return path


def test_the_command(too_new: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tpu", "check", str(SHIPPED)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"voice_encoder: (\d+) of \1 operations on the Edge TPU", out)
    assert "fit" in out
    assert cli.main(["tpu", "check", str(too_new)]) == 1
    assert "AVERAGE_POOL_2D" in capsys.readouterr().out
    assert cli.main(["tpu", "check", "--json", str(too_new)]) == 1
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert model["mapped"] < model["operations"]


def test_the_report_says_why_a_whole_model_is_refused() -> None:
    found = check(read_models(TINY))
    prediction = predicted(operation("TILE", MAP, version=3))
    text = "\n".join(describe(replace(found, predictions=(prediction,))))
    assert "REFUSED  TILE version 3: the compiler knows 2; UpSampling2D" in text
    assert as_json(found)["whole"] is True


def test_what_is_no_model_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.tflite"
    path.write_bytes(b"no flatbuffer at all")
    assert cli.main(["tpu", "check", str(path)]) == InputError.exit_code
    assert cli.main(["tpu", "check", str(tmp_path / "absent")]) == InputError.exit_code
    path.write_bytes(compile_model((TINY / "voice_encoder.tflite").read_bytes()))
    assert cli.main(["tpu", "check", str(path)]) == InputError.exit_code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "is compiled already" in lines[2]
