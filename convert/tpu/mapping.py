"""Predicts which operations of a model the compiler puts on the Edge TPU.

The compiler takes one run of operations, from the first it can take to the last before one it
cannot; whatever comes later runs on the CPU, supported or not (google-coral/edgetpu#461). Here
"later" is the order of the file, which is careful: a branch that does not need the refused
operation may be taken nevertheless.
"""

from __future__ import annotations

from dataclasses import dataclass

from .graph import Graph, Operation
from .operators import LAST_CODE, NEWEST_RUNTIME, OPERATORS, REGISTERED, Confidence
from .status import Refusal, Status

TAKEN = ("int8", "uint8")


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one operation is expected to run, and why."""

    operation: Operation
    status: Status
    why: str = ""  # it does not run on the Edge TPU
    confidence: Confidence = "documented"  # of the rule that decided

    @property
    def mapped(self) -> bool:
        """Whether it runs on the Edge TPU."""
        return self.status is Status.MAPPED


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the compiler is expected to do with one model."""

    name: str
    refused: tuple[str, ...]  # reasons to refuse the whole model; nothing is mapped then
    placements: tuple[Placement, ...]  # in the order of the file

    @property
    def mapped(self) -> int:
        """How many operations run on the Edge TPU."""
        return 0 if self.refused else sum(placement.mapped for placement in self.placements)

    @property
    def whole(self) -> bool:
        """Whether all of the model runs there."""
        return self.mapped == len(self.placements)

    @property
    def first_refused(self) -> Placement | None:
        """The operation that ends the mapped run."""
        return next((p for p in self.placements if not p.mapped and not _enters(p.operation)), None)


def predict(graph: Graph, runtime: int = NEWEST_RUNTIME) -> Prediction:
    """Return what the compiler is expected to do with a model for a libedgetpu of that runtime."""
    placements, ended = [], False
    for operation in graph.operations:
        refusal = _refusal(operation, runtime)
        if refusal is None and ended:
            refusal = Refusal(Status.SUBGRAPH, "an operation before it is refused")
        rule = OPERATORS.get(operation.name)
        confidence: Confidence = rule.confidence if rule else "documented"
        if refusal is None:
            placements.append(Placement(operation, Status.MAPPED, "", confidence))
            continue
        placements.append(Placement(operation, refusal.status, refusal.why, confidence))
        ended = ended or not _enters(operation)
    return Prediction(graph.name, tuple(_whole_model(graph)), tuple(placements))


def _whole_model(graph: Graph) -> list[str]:
    """Return why the compiler would not even begin."""
    reasons = []
    if graph.subgraphs > 1:
        reasons.append(f"it has {graph.subgraphs} subgraphs: control flow is not supported")
    for operation in graph.operations:
        name, version = operation.name, operation.version
        if operation.code > LAST_CODE:
            reasons.append(f"{name} is newer than the compiler")
        elif version > REGISTERED.get(name, version):
            reasons.append(f"{name} version {version}: the compiler knows {REGISTERED[name]}")
        if any(tensor.dynamic for tensor in operation.activations):
            reasons.append(f"{name} works on a tensor whose size is not fixed")
    return list(dict.fromkeys(reasons))


def _refusal(operation: Operation, runtime: int) -> Refusal | None:
    """Return why one operation is refused by itself."""
    rule = OPERATORS.get(operation.name)
    for tensor in operation.activations:
        if tensor.dtype not in TAKEN:
            if operation.name == "QUANTIZE":
                return Refusal(Status.UNSPECIFIED, "it makes int8 of floating point")
            return Refusal(Status.DTYPE, f"{tensor.dtype} instead of int8")
    if rule is None:
        return Refusal(Status.UNSUPPORTED, "the Edge TPU has no such operation")
    if rule.runtime > runtime:
        return Refusal(Status.UNSUPPORTED, f"it needs runtime {rule.runtime}, not {runtime}")
    if operation.version > rule.versions:
        return Refusal(Status.VERSION, f"version {operation.version}, at most {rule.versions}")
    if any(n > 1 for tensor in operation.activations for n in tensor.shape[:-3]):
        return Refusal(Status.RANK, "more than the three innermost dimensions are used")
    return rule.limit(operation)


def _enters(operation: Operation) -> bool:
    """Tell whether this makes the model's floating-point input int8, which ends no run."""
    return operation.name == "QUANTIZE" and operation.inputs[0].dtype == "float32"
