"""Reads and names what is inside a .tflite file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.errors import EarsightError
from edge.manifest import FileInfo, ModelInfo, TensorInfo

SMALLEST_SCALE = 1e-7  # XNNPACK refuses to prepare layers whose output scale is about 1e-8
FLOAT_OPERATORS = ("DEQUANTIZE",)  # inside a full-int8 graph: something stayed float


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of the main subgraph, in execution order."""

    name: str  # "CONV_2D"
    version: int
    inputs: tuple[int, ...]  # tensor indices
    outputs: tuple[int, ...]


class TfliteModel:
    """A parsed .tflite file with one subgraph."""

    def __init__(self, content: bytes) -> None:
        self.schema = schema = _schema()
        self.model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
        self.graph = self.model.subgraphs[0]
        names = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}
        self.operators = []
        for operator in self.graph.operators:
            code = self.model.operatorCodes[operator.opcodeIndex]
            name = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
            inputs, outputs = tuple(operator.inputs), tuple(operator.outputs)
            self.operators.append(Operator(name, int(code.version), inputs, outputs))

    def name_tensors(self) -> None:
        """Give inputs and outputs the names of the signature they were exported with.

        The converter names them after its own graph ("StatefulPartitionedCall:1").
        """
        for signature in self.model.signatureDefs or []:
            for entry in [*signature.inputs, *signature.outputs]:
                self.graph.tensors[entry.tensorIndex].name = entry.name

    def content(self) -> bytes:
        """Serialize."""
        import flatbuffers

        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def operator_versions(self) -> dict[str, int]:
        """Return each operator with the highest version used."""
        versions: dict[str, int] = {}
        for operator in self.operators:
            versions[operator.name] = max(operator.version, versions.get(operator.name, 0))
        return dict(sorted(versions.items()))

    def min_runtime(self) -> str:
        """Return the lowest TFLite version the file says it needs, "" when it says nothing."""
        for entry in self.model.metadata or []:
            if _text(entry.name) == "min_runtime_version":
                return bytes(self.model.buffers[entry.buffer].data).rstrip(b"\0").decode()
        return ""

    def macs(self) -> int:
        """Return the multiply-accumulates of one run (convolutions and dense layers)."""
        return sum(self._macs_of(operator) for operator in self.operators)

    def tensor_info(self, index: int) -> TensorInfo:
        """Return shape, type and quantization of a tensor."""
        tensor = self.graph.tensors[index]
        dtype = {0: "float32", 3: "uint8", 9: "int8"}.get(tensor.type)
        if dtype is None:
            raise EarsightError(f"tensor {_text(tensor.name)} has unexpected type {tensor.type}")
        scale, zero_point = 0.0, 0
        if tensor.quantization is not None and tensor.quantization.scale is not None:
            scale = float(tensor.quantization.scale[0])
            zero_point = int(tensor.quantization.zeroPoint[0])
        return TensorInfo(tuple(int(n) for n in tensor.shape), dtype, scale, zero_point)  # type: ignore[arg-type]

    def model_info(self, file: FileInfo) -> ModelInfo:
        """Return the manifest's entry for this model."""
        tensors = self.graph.tensors
        return ModelInfo(
            files={"cpu": file},
            inputs={_text(tensors[i].name): self.tensor_info(i) for i in self.graph.inputs},
            outputs={_text(tensors[i].name): self.tensor_info(i) for i in self.graph.outputs},
            operators=self.operator_versions(),
            min_runtime=self.min_runtime(),
            macs=self.macs(),
        )

    def problems(self) -> Iterator[str]:
        """Yield why this is not a sound full-int8 model; nothing when it is."""
        for operator in self.operators:
            if operator.name in FLOAT_OPERATORS:
                yield f"{operator.name} in the graph: a layer stayed in floating point"
        for index in [*self.graph.inputs, *self.graph.outputs]:
            if (info := self.tensor_info(index)).dtype != "int8":
                yield f"{_text(self.graph.tensors[index].name)} is {info.dtype}, not int8"
        for operator in self.operators:
            for index in operator.outputs:
                tensor = self.graph.tensors[index]
                if tensor.quantization is None or tensor.quantization.scale is None:
                    continue
                smallest = float(np.min(tensor.quantization.scale))
                if smallest < SMALLEST_SCALE:
                    yield (
                        f"{_text(tensor.name)} has the degenerate scale {smallest:.1e}: the layer "
                        "is always zero on the calibration data, train it or remove it"
                    )

    def _macs_of(self, operator: Operator) -> int:
        shape = [self.graph.tensors[i].shape for i in operator.inputs]
        out = int(np.prod(self.graph.tensors[operator.outputs[0]].shape))
        if operator.name == "CONV_2D":
            return out * int(np.prod(shape[1][1:]))
        if operator.name == "DEPTHWISE_CONV_2D":
            return out * int(np.prod(shape[1][1:3]))
        if operator.name == "FULLY_CONNECTED":
            return int(np.prod(shape[1]))
        if operator.name == "TRANSPOSE_CONV":
            return int(np.prod(shape[2])) * int(np.prod(shape[1][:3]))
        return 0


def _schema() -> Any:
    """Return the generated reader of the format: LiteRT's, or TensorFlow's, which loads slowly.

    What they write is the same, byte for byte.
    """
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ModuleNotFoundError:
        from tensorflow.lite.python import schema_py_generated as schema
    return schema


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
