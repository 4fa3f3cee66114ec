"""The operations of a .tflite file as the Edge TPU's rules look at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..flatbuffer import TfliteModel

# TensorType of the format's schema
DTYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16",
          9: "int8", 17: "int4"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output of an operation."""

    name: str
    shape: tuple[int, ...]
    dtype: str  # "int8", "int32", ..., "other"
    data: bytes | None = None  # of a constant
    scales: int = 0  # 1: quantized per tensor; more: per channel; 0: not quantized
    dynamic: bool = False  # its size is known at run time only

    @property
    def constant(self) -> bool:
        """Whether it is part of the file."""
        return self.data is not None


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation."""

    name: str  # "CONV_2D"
    version: int
    inputs: tuple[Tensor, ...]  # those that are there
    outputs: tuple[Tensor, ...]
    options: Mapping[str, Any] = field(default_factory=dict)  # as the schema names them
    code: int = 0  # BuiltinOperator of the schema

    @property
    def activations(self) -> Iterator[Tensor]:
        """What is computed at run time and passes through the operation."""
        return (tensor for tensor in (*self.inputs, *self.outputs) if not tensor.constant)


@dataclass(frozen=True, slots=True)
class Graph:
    """One model's operations, in the order in which they run."""

    name: str
    operations: tuple[Operation, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    subgraphs: int = 1


def read_graph(name: str, content: bytes) -> Graph:
    """Return the operations of a .tflite file."""
    model = TfliteModel(content)
    tensors = [_tensor(model, tensor) for tensor in model.graph.tensors]

    def pick(indices: Any) -> tuple[Tensor, ...]:
        return tuple(tensors[i] for i in indices if i >= 0)

    operations = []
    for operator, raw in zip(model.operators, model.graph.operators, strict=True):
        options = vars(raw.builtinOptions) if raw.builtinOptions is not None else {}
        operations.append(
            Operation(
                operator.name,
                operator.version,
                pick(operator.inputs),
                pick(operator.outputs),
                options,
                _code(model, raw.opcodeIndex),
            )
        )
    graph = model.graph
    subgraphs = len(model.model.subgraphs)
    return Graph(name, tuple(operations), pick(graph.inputs), pick(graph.outputs), subgraphs)


def _code(model: TfliteModel, index: int) -> int:
    code = model.model.operatorCodes[index]
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def _tensor(model: TfliteModel, raw: Any) -> Tensor:
    data = model.model.buffers[raw.buffer].data
    scale = raw.quantization.scale if raw.quantization is not None else None
    signature = raw.shapeSignature if raw.shapeSignature is not None else ()
    return Tensor(
        name=raw.name.decode() if isinstance(raw.name, bytes) else str(raw.name),
        shape=tuple(int(n) for n in (raw.shape if raw.shape is not None else ())),
        dtype=DTYPES.get(raw.type, "other"),
        data=bytes(data) if data is not None and len(data) else None,
        scales=len(scale) if scale is not None else 0,
        dynamic=any(n < 0 for n in signature),
    )
