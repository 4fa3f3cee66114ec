"""Reads what the Edge TPU compiler prints, in all the forms that its versions 2.0 to 16.0 have.

Forms met in published logs: one model or several compiled together, with the table of operations or
without, the file NAME_edgetpu.log that holds the table alone, several attempts (--search_delegate),
segments, and text whose line ends were lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from .status import Status

UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
# where a line begins, should its beginning have been lost
BEGINNINGS = re.compile(
    r"(?<!: )(?=Edge TPU Compiler version|Started a compilation|Models? compiled successfully"
    r"|Input(?: model| size)?: |Output(?: model| size)?: |O(?:n|ff)-chip memory |Number of "
    r"|Total number of |Operation log: |Model successfully compiled but|Operator +Count"
    r"|See the operation log|Compilation (?:child|succeeded|failed|timeout)"
    r"|Internal compiler error|Invalid model: |ERROR: |Searching for valid|Try to compile segment)"
)
HEADING = re.compile(r"Operator\s+Count\s+Status")
ROW = re.compile(r"([A-Za-z][\w.-]*)\s+(\d+)\s+(\S.*)")
VALUE = re.compile(r"([^:]+): (.+)")
FAILURES = re.compile(
    r"Internal compiler error|Compilation failed|Compilation timeout|Invalid model|ERROR: "
    r"|Model not quantized|Model could not be parsed|.*terminating with uncaught"
)
CHATTER = re.compile(
    r"Started a compilation|See the operation log|Compilation child process|Searching for valid"
    r"|Try to compile segment|Intermediate tensors: |Model successfully compiled but"
    r"|\.\.\. All other"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    operation: str
    count: int
    status: Status | None  # None for one that no published log has
    text: str  # the status as it was written


@dataclass(frozen=True, slots=True)
class ModelLog:
    """What the compiler said of one model; None for what it did not say."""

    input: str
    output: str = ""
    input_bytes: int | None = None
    output_bytes: int | None = None
    cached_bytes: int | None = None  # parameters kept on the chip
    streamed_bytes: int | None = None  # parameters sent with every run
    room_bytes: int | None = None  # what was left, or in 2.0 what there was, for parameters
    subgraphs: int | None = None
    operations: int | None = None
    on_tpu: int | None = None
    on_cpu: int | None = None
    rows: tuple[Row, ...] = ()

    @property
    def mapped(self) -> float | None:
        """The share of the operations that run on the Edge TPU, 0..1."""
        if self.on_tpu is not None and self.on_cpu is not None:
            return self.on_tpu / max(1, self.on_tpu + self.on_cpu)
        if self.rows:
            taken = sum(row.count for row in self.rows if row.status is Status.MAPPED)
            return taken / sum(row.count for row in self.rows)
        if self.operations is not None and self.subgraphs is not None:
            return float(self.subgraphs > 0)  # it counts only when something is on the CPU
        return None


@dataclass(frozen=True, slots=True)
class CompilerLog:
    """One run of the compiler."""

    version: str  # "16.0.384591198"
    succeeded: bool
    models: tuple[ModelLog, ...]
    failures: tuple[str, ...]  # lines that say what went wrong, also in attempts before the last
    unknown: tuple[str, ...]  # lines that no known version prints


def parse_log(text: str) -> CompilerLog:
    """Return what the text says; never raises, whatever it is."""
    version, succeeded = "", False
    models: list[ModelLog] = []
    failures: list[str] = []
    unknown: list[str] = []
    for line in _lines(text):
        if line.startswith("Edge TPU Compiler version"):
            version = line.split()[-1]
        elif re.match(r"Models? compiled successfully|Compilation succeeded", line):
            succeeded = True
        elif FAILURES.match(line):
            failures.append(line)
            succeeded = False
        elif not _take(line, models) and not CHATTER.match(line) and not HEADING.match(line):
            unknown.append(line)
    complete = bool(models) and not failures  # NAME_edgetpu.log has no word of success
    return CompilerLog(
        version, succeeded or complete, tuple(models), tuple(failures), tuple(unknown)
    )


def _lines(text: str) -> Iterator[str]:
    """Yield the lines that are not blank, with lost line ends put back."""
    text = HEADING.sub(lambda found: found.group() + "\n", text)
    for line in BEGINNINGS.sub("\n", text).splitlines():
        if line.strip():
            yield line.strip()


def _take(line: str, models: list[ModelLog]) -> bool:
    """Put what a line says into the last model, or begin a model; False when it says nothing."""
    if line.startswith(("Input model: ", "Input: ")):
        models.append(ModelLog(line.partition(": ")[2]))
        return True
    if not models:
        return False
    model = models[-1]
    if row := ROW.fullmatch(line):
        name, count, said = row[1], int(row[2]), row[3].strip()
        status = next((status for status in Status if said == status), None)
        models[-1] = replace(model, rows=(*model.rows, Row(name, count, status, said)))
        return True
    found = VALUE.fullmatch(line)
    changed = _set(model, found[1], found[2]) if found else None
    models[-1] = changed or model
    return changed is not None


def _set(model: ModelLog, key: str, value: str) -> ModelLog | None:
    """Return the model with one "key: value" line put in, None for a key that is not known."""
    if key in ("Output model", "Output"):
        return replace(model, output=value)
    if key == "Operation log":
        return model
    number = re.fullmatch(r"([\d.]+) ?(B|KiB|MiB|GiB)?", value)
    if number is None:
        return None
    amount = round(float(number[1]) * UNITS[number[2] or "B"])
    match key:
        case "Input size":
            return replace(model, input_bytes=amount)
        case "Output size":
            return replace(model, output_bytes=amount)
        case "On-chip memory used for caching model parameters":
            return replace(model, cached_bytes=amount)
        case (
            "On-chip memory remaining for caching model parameters"
            | "On-chip memory available for caching model parameters"
        ):
            return replace(model, room_bytes=amount)
        case "Off-chip memory used for streaming uncached model parameters":
            return replace(model, streamed_bytes=amount)
        case "Number of Edge TPU subgraphs":
            return replace(model, subgraphs=amount)
        case "Total number of operations":
            return replace(model, operations=amount)
        case "Number of operations that will run on Edge TPU":
            return replace(model, on_tpu=amount)
        case "Number of operations that will run on CPU":
            return replace(model, on_cpu=amount)
    return None
