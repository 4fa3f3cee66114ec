"""The compiler's log in all its forms, and its runner on a program that behaves like it."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bundle import load_bundle
from edge.errors import CompilerUnavailable, ConfigError, EarsightError

pytest.importorskip("flatbuffers", reason="LiteRT's reader of the format is not installed")
from convert import cli
from convert.tpu import compiler
from convert.tpu.compile import compile_bundle
from convert.tpu.compiler import CompilationError, CompilerOptions, compile_together
from convert.tpu.log import Row, parse_log
from convert.tpu.status import Status
from tests.fake_edgetpu import compile_model

TINY = Path(__file__).parent / "data" / "tiny.bundle"
MIB, KIB = 2**20, 2**10

ONE = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 12264 ms.

Input model: model2.tflite
Input size: 8.11MiB
Output model: model2_edgetpu.tflite
Output size: 9.47MiB
On-chip memory used for caching model parameters: 6.86MiB
On-chip memory remaining for caching model parameters: 7.75KiB
Off-chip memory used for streaming uncached model parameters: 1.22MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 93
Operation log: model2_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of \
the model will instead run on the CPU, which is slower. If possible, consider updating your model \
to use only operations supported by the Edge TPU. For details, visit g.co/coral/model-reqs.
Number of operations that will run on Edge TPU: 83
Number of operations that will run on CPU: 10

Operator                       Count      Status

LOGISTIC                       1          More than one subgraph is not supported
ADD                            10         Mapped to Edge TPU
QUANTIZE                       2          Operation is otherwise supported, but not mapped due to \
some unspecified limitation
Compilation child process completed within timeout period.
Compilation succeeded!
"""
TOGETHER = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Models compiled successfully in 524 ms.

Input model: voice.tflite
Input size: 1.91MiB
Output model: voice_edgetpu.tflite
Output size: 2.52MiB
On-chip memory used for caching model parameters: 2.27MiB
On-chip memory remaining for caching model parameters: 1.07MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 57
Operation log: voice_edgetpu.log
See the operation log file for individual operation details.

Input model: face.tflite
Input size: 1.87MiB
Output model: face_edgetpu.tflite
Output size: 2.06MiB
On-chip memory used for caching model parameters: 2.00MiB
On-chip memory remaining for caching model parameters: 1.07MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 6
Operation log: face_edgetpu.log
See the operation log file for individual operation details.
Compilation child process completed within timeout period.
Compilation succeeded!
"""
TABLE = """\
Edge TPU Compiler version 15.0.340273435
Input: mnist4.tflite
Output: mnist4_edgetpu.tflite

Operator                       Count      Status

RESHAPE                        1          Mapped to Edge TPU
CONV_2D                        2          Mapped to Edge TPU
DEQUANTIZE                     1          Operation is working on an unsupported data type
"""
OLD = """\
Edge TPU Compiler version 2.0.291256449

Model compiled successfully in 2356 ms.

Input model: resnet50.tflite
Input size: 25.08MiB
Output model: resnet50_edgetpu.tflite
Output size: 24.87MiB
On-chip memory available for caching model parameters: 6.25MiB
On-chip memory used for caching model parameters: 6.25MiB
Off-chip memory used for streaming uncached model parameters: 18.43MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 77
Operation log: resnet50_edgetpu.log
See the operation log file for individual operation details.
"""
# line ends lost between a sentence and the next, as logs get pasted
GLUED = """\
Edge TPU Compiler version 2.0.267685300Model compiled successfully in 231 ms.Input model: m.tflite
Input size: 3.03KiB
Output model: m_edgetpu.tflite
Output size: 296.85KiB
On-chip memory available for caching model parameters: 1.73MiB
On-chip memory used for caching model parameters: 10.00KiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 3
Operation log: m_edgetpu.logModel successfully compiled but not all operations are supported by \
the Edge TPU. A percentage of the model will instead run on the CPU, which is slower.
Number of operations that will run on Edge TPU: 1
Number of operations that will run on CPU: 2Operator                       Count      Status\
DEPTHWISE_CONV_2D              1          Mapped to Edge TPU
DEQUANTIZE                     1          Operation is working on an unsupported data type
QUANTIZE                       1          Operation is otherwise supported, but not mapped due to \
some unspecified limitation
"""
SEARCHED = """\
Edge TPU Compiler version 16.0.384591198
Searching for valid delegate with step 1
Try to compile segment with 176 ops
Started a compilation timeout timer of 180 seconds.
Compilation timeout. This is usually caused by large activations.
Compilation failed!
Try to compile segment with 175 ops
Intermediate tensors: model/reshape_2/Reshape,StatefulPartitionedCall:1
Started a compilation timeout timer of 180 seconds.
""" + ONE.split("seconds.\n")[1]
NOTHING_MAPPED = """\
Edge TPU Compiler version 15.0.340273435

Model compiled successfully in 17 ms.

Input model: detect2.tflite
Input size: 10.97MiB
Output model: detect2_edgetpu.tflite
Output size: 10.97MiB
On-chip memory used for caching model parameters: 0.00B
On-chip memory remaining for caching model parameters: 0.00B
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 0
Total number of operations: 157
Operation log: detect2_edgetpu.log
"""
FAILED = {
    "internal": (
        "Edge TPU Compiler version 14.1.317412892\n\nInternal compiler error. Aborting! \n",
        "Internal compiler error. Aborting!",
    ),
    "not quantized": (
        "Edge TPU Compiler version 2.0.258810407\nINFO: Initialized TensorFlow Lite runtime.\n"
        "Invalid model: m.tflite\nModel not quantized\n",
        "Model not quantized",
    ),
    "version": (
        "Edge TPU Compiler version 16.0.384591198\nERROR: Didn't find op for builtin opcode "
        "'TRANSPOSE_CONV' version '4'. An older version of this builtin might be supported.\n\n"
        "ERROR: Registration failed.\n\nInvalid model: m.tflite\nModel could not be parsed\n",
        "Model could not be parsed",
    ),
    "dynamic": (
        "Edge TPU Compiler version 16.0.384591198\n"
        "Started a compilation timeout timer of 180 seconds.\n"
        "ERROR: Attempting to use a delegate that only supports static-sized tensors with a graph "
        "that has dynamic-sized tensors.\nCompilation failed: Model failed in Tflite interpreter. "
        "Please ensure model can be loaded/run in Tflite interpreter.\n"
        "Compilation child process completed within timeout period.\nCompilation failed! \n",
        "Compilation failed!",
    ),
    "exception": (
        "Edge TPU Compiler version 16.0.384591198\n"
        "Started a compilation timeout timer of 180 seconds.\n"
        "libc++abi: terminating with uncaught exception of type std::out_of_range: vector\n"
        "Compilation child process completed within timeout period.\nCompilation failed! \n",
        "Compilation failed!",
    ),
    "activations": (
        "Edge TPU Compiler version 16.0.384591198\n"
        "ERROR: Restored original execution plan after delegate application failure.\n"
        "Compilation failed: Compilation failed due to large activation tensors in model.\n",
        "Compilation failed: Compilation failed due to large activation tensors in model.",
    ),
}


# ---------------------------------------------------------------- the log


def test_one_model_with_its_table() -> None:
    log = parse_log(ONE)
    assert (log.version, log.succeeded, log.failures, log.unknown) == (
        "16.0.384591198", True, (), (),
    )  # fmt: skip
    (model,) = log.models
    assert (model.input, model.output) == ("model2.tflite", "model2_edgetpu.tflite")
    assert model.input_bytes == round(8.11 * MIB)
    assert model.cached_bytes == round(6.86 * MIB)
    assert model.room_bytes == round(7.75 * KIB)
    assert model.streamed_bytes == round(1.22 * MIB)
    assert (model.subgraphs, model.operations, model.on_tpu, model.on_cpu) == (1, 93, 83, 10)
    assert model.mapped == pytest.approx(83 / 93)
    assert model.rows == (
        Row("LOGISTIC", 1, Status.SUBGRAPH, Status.SUBGRAPH),
        Row("ADD", 10, Status.MAPPED, Status.MAPPED),
        Row("QUANTIZE", 2, Status.UNSPECIFIED, Status.UNSPECIFIED),
    )


def test_models_compiled_together() -> None:
    log = parse_log(TOGETHER)
    assert [m.input for m in log.models] == ["voice.tflite", "face.tflite"]
    assert [m.operations for m in log.models] == [57, 6]
    assert [m.mapped for m in log.models] == [1.0, 1.0]
    assert log.models[1].cached_bytes == 2 * MIB
    assert (log.succeeded, log.unknown) == (True, ())


def test_the_file_that_holds_the_table_alone() -> None:
    log = parse_log(TABLE)
    (model,) = log.models
    assert (log.version, model.input, model.mapped) == ("15.0.340273435", "mnist4.tflite", 0.75)
    assert log.succeeded
    both = parse_log(TABLE + "\n" + TABLE.replace("mnist4", "mnist7"))
    assert [m.input for m in both.models] == ["mnist4.tflite", "mnist7.tflite"]
    assert [len(m.rows) for m in both.models] == [3, 3]


def test_an_old_compiler() -> None:
    log = parse_log(OLD)
    (model,) = log.models
    assert (log.version, log.succeeded, log.unknown) == ("2.0.291256449", True, ())
    assert model.room_bytes == round(6.25 * MIB)
    assert model.streamed_bytes == round(18.43 * MIB)


def test_lost_line_ends() -> None:
    log = parse_log(GLUED)
    (model,) = log.models
    assert (log.version, log.succeeded, log.unknown) == ("2.0.267685300", True, ())
    assert (model.input, model.operations, model.on_tpu, model.on_cpu) == ("m.tflite", 3, 1, 2)
    assert [row.operation for row in model.rows] == ["DEPTHWISE_CONV_2D", "DEQUANTIZE", "QUANTIZE"]
    assert [row.status for row in model.rows] == [Status.MAPPED, Status.DTYPE, Status.UNSPECIFIED]


def test_several_attempts() -> None:
    log = parse_log(SEARCHED)
    assert log.succeeded
    assert log.failures == (
        "Compilation timeout. This is usually caused by large activations.",
        "Compilation failed!",
    )
    assert len(log.models) == 1
    assert log.unknown == ()


def test_nothing_mapped() -> None:
    log = parse_log(NOTHING_MAPPED)
    assert log.succeeded
    assert log.models[0].mapped == 0.0


@pytest.mark.parametrize("name", FAILED)
def test_every_known_failure(name: str) -> None:
    text, last = FAILED[name]
    log = parse_log(text)
    assert not log.succeeded
    assert log.failures[-1] == last
    assert log.models == ()


@pytest.mark.parametrize("status", Status)
def test_every_known_status(status: Status) -> None:
    text = TABLE.replace("Operation is working on an unsupported data type", status)
    assert parse_log(text).models[0].rows[-1] == Row("DEQUANTIZE", 1, status, status)


def test_what_no_known_version_prints_is_kept() -> None:
    text = TABLE + "TFLite_Detection_PostProcess   1   Taken by the moon\nHave a nice day\n"
    log = parse_log(text)
    assert log.models[0].rows[-1] == Row(
        "TFLite_Detection_PostProcess", 1, None, "Taken by the moon"
    )
    assert log.unknown == ("Have a nice day",)
    assert log.models[0].mapped == pytest.approx(3 / 5)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([ONE, TOGETHER, OLD, GLUED, SEARCHED]),
    st.integers(0, 1500),
    st.integers(0, 400),
    st.text(alphabet="Operator 1:MiB\n", max_size=20),
)
def test_damaged_logs_are_parsed(text: str, start: int, length: int, noise: str) -> None:
    damaged = text[:start] + noise + text[start + length :]
    log = parse_log(damaged)
    assert all(line in damaged for line in log.unknown)
    assert all(model.mapped is None or 0 <= model.mapped <= 1 for model in log.models)


# ---------------------------------------------------------------- the runner

STAND_IN = """\
#!{python}
import json, os, pathlib, signal, subprocess, sys, time
here = pathlib.Path({folder!r})
(here / "arguments.json").write_text(json.dumps(sys.argv[1:]))
attempts = len(list(here.glob("attempt*"))) + 1
(here / f"attempt{{attempts}}").touch()
mode = (here / "mode").read_text()
models = [pathlib.Path(a) for a in sys.argv[1:] if a.endswith(".tflite")]
print("Edge TPU Compiler version 16.0.384591198", flush=True)
if mode == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
if mode == "hang":
    subprocess.run(["sleep", "600"])  # the real one hangs in a child
if mode == "exit":
    print("some words")
    sys.exit(3)
if mode == "silent":
    sys.exit(0)
if mode == "random" and attempts < 3 or mode == "internal":
    print("\\nInternal compiler error. Aborting! ")
    sys.exit(1)
print("\\nModels compiled successfully in 10 ms.\\n")
for model in models:
    print(f"Input model: {{model}}")
    print(f"Output model: {{model.stem}}_edgetpu.tflite")
    print("Number of Edge TPU subgraphs: 1\\nTotal number of operations: 4")
    if mode == "partial" and model.stem == "face_encoder":
        print("Number of operations that will run on Edge TPU: 3")
        print("Number of operations that will run on CPU: 1")
    print("\\nOperator   Count   Status\\n\\nADD   4   Mapped to Edge TPU")
    source = model if mode == "uncompiled" else here / f"{{model.stem}}.compiled"
    if mode == "swapped":
        source = here / "face_encoder.compiled"
    if mode != "no file":
        pathlib.Path(f"{{model.stem}}_edgetpu.tflite").write_bytes(source.read_bytes())
print("Compilation succeeded!")
"""


class StandIn:
    """A program in place of edgetpu_compiler."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.program = folder / "edgetpu_compiler"
        self.program.write_text(STAND_IN.format(python=sys.executable, folder=str(folder)))
        self.program.chmod(self.program.stat().st_mode | stat.S_IXUSR)
        for name in ("voice_encoder", "face_encoder", "portrait_decoder"):
            content = (TINY / f"{name}.tflite").read_bytes()
            (folder / f"{name}.compiled").write_bytes(compile_model(content))
        self.behave("well")

    def behave(self, mode: str) -> None:
        """Choose what it does from now on."""
        (self.folder / "mode").write_text(mode)

    def options(self, **changes: object) -> CompilerOptions:
        """Return options that run it."""
        return CompilerOptions(**{"program": self.program, **changes})

    def arguments(self) -> list[str]:
        """Return what it was called with last."""
        found: list[str] = json.loads((self.folder / "arguments.json").read_text())
        return found


@pytest.fixture
def stand_in(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path / "compiler")


def test_a_bundle_gets_both_files_of_each_model(stand_in: StandIn, tmp_path: Path) -> None:
    bundle = load_bundle(TINY)
    out = tmp_path / "compiled.bundle"
    made = compile_bundle(bundle, out, stand_in.options(), gate=1.0)
    assert load_bundle(out).manifest == made.manifest
    compiled = made.manifest.compiled["edgetpu"]
    assert compiled.compiler == "16.0.384591198"
    assert compiled.order == ("voice_encoder", "portrait_decoder", "face_encoder")
    assert compiled.mapped == dict.fromkeys(compiled.order, 1.0)
    assert stand_in.arguments()[-3:] == [f"{name}.tflite" for name in compiled.order]
    for name, info in made.manifest.models.items():
        assert set(info.files) == {"cpu", "edgetpu"}
        before = bundle.manifest.models[name]
        assert info.files["cpu"] == before.files["cpu"]
        assert compiled.sources[name] == before.files["cpu"].sha256
        content = (stand_in.folder / f"{name}.compiled").read_bytes()
        assert (out / info.files["edgetpu"].file).read_bytes() == content
    assert "Compilation succeeded!" in (out / "edgetpu_compiler.log").read_text()
    made.open("voice_encoder")  # the CPU's file is as it was
    again = compile_bundle(made, out, stand_in.options(), gate=1.0)  # in place
    assert again.manifest == made.manifest


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("crash", "crashed \\(SIGSEGV\\)"),
        ("exit", "ended with 3 and said: some words"),
        ("silent", "failed: it says nothing"),
        ("internal", "Internal compiler error"),
        ("no file", "wrote no voice_encoder_edgetpu.tflite"),
        ("partial", "face_encoder: 75 % of its operations"),
        ("uncompiled", "voice_encoder: 0 % of its operations"),
        ("swapped", "changed its inputs or outputs"),
    ],
)
def test_each_way_to_fail(stand_in: StandIn, tmp_path: Path, mode: str, words: str) -> None:
    stand_in.behave(mode)
    out = tmp_path / "x.bundle"
    with pytest.raises(EarsightError, match=words) as caught:
        compile_bundle(load_bundle(TINY), out, stand_in.options(), gate=1.0)
    assert caught.value.exit_code == 1
    assert not out.exists()
    if mode != "swapped":
        log = tmp_path / "x.bundle.log"
        assert str(log) in str(caught.value)
        assert log.read_text().startswith("Edge TPU Compiler version 16.0")


def test_a_compiler_that_hangs_is_ended(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "ENDS_S", 0.0)
    stand_in.behave("hang")
    with pytest.raises(CompilationError, match="gave no result in 2 s") as caught:
        compile_together({"m": b"x"}, stand_in.options(timeout_s=2))
    assert caught.value.text.startswith("Edge TPU Compiler")


def test_failures_at_random_are_tried_again(stand_in: StandIn) -> None:
    stand_in.behave("random")
    done = compile_together({"face_encoder": b"x"}, stand_in.options())
    assert done.text.count("Internal compiler error") == 2
    assert done.log.succeeded


def test_less_than_everything_when_that_is_asked_for(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in.behave("partial")
    made = compile_bundle(load_bundle(TINY), tmp_path / "x.bundle", stand_in.options(), gate=0.7)
    assert made.manifest.compiled["edgetpu"].mapped["face_encoder"] == 0.75


def test_options_reach_the_compiler(stand_in: StandIn) -> None:
    options = stand_in.options(timeout_s=77, min_runtime=13, search=True)
    compile_together({"face_encoder": b"x"}, options)
    given = stand_in.arguments()
    assert given[given.index("--timeout_sec") + 1] == "77"
    assert given[given.index("--min_runtime_version") + 1] == "13"
    assert "--search_delegate" in given
    assert "--show_operations" in given


def test_a_program_named_from_where_one_is(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stand_in.folder.parent)
    options = stand_in.options(program=stand_in.program.relative_to(Path.cwd()))
    assert compile_together({"face_encoder": b"x"}, options).log.succeeded


def test_a_program_of_another_processor(stand_in: StandIn) -> None:
    stand_in.program.write_bytes(b"\x7fELF of an ARM")
    with pytest.raises(ConfigError, match="cannot be run here"):
        compile_together({"face_encoder": b"x"}, stand_in.options())


def test_a_container(stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is a stand-in too: it goes to the folder it is given and runs what follows."""
    engine = tmp_path / "bin" / "podman"
    engine.parent.mkdir()
    engine.write_text(
        '#!/bin/sh\n[ "$1 $2 $3 $4" = "run --rm --network=none --volume" ] || exit 9\n'
        'cd "${5%:/work}" || exit 9\nshift 8\nexec "$@"\n'
    )
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{engine.parent}:{stand_in.folder}:/usr/bin:/bin")
    done = compile_together({"face_encoder": b"x"}, CompilerOptions(container="coral:16"))
    assert done.log.version == "16.0.384591198"
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ConfigError, match="podman or docker"):
        compile_together({"m": b""}, CompilerOptions(container="coral:16"))


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_no_compiler_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(CompilerUnavailable, match="git clone https") as caught:
        compile_together({"m": b""}, CompilerOptions())
    assert caught.value.exit_code == 10
    assert ("x86-64 Linux only" in str(caught.value)) == (machine == "aarch64")


def test_the_command(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "out.bundle"
    line = ["tpu", "compile", str(TINY), "--out", str(out)]
    monkeypatch.setenv("PATH", "/nonexistent")
    assert cli.main(line) == 10
    assert capsys.readouterr().err.count("\n") == 1
    assert cli.main([*line, "--compiler", str(tmp_path / "absent")]) == ConfigError.exit_code
    assert cli.main([*line, "--compiler", str(stand_in.program)]) == 0
    assert "voice_encoder: 100 % on the Edge TPU" in capsys.readouterr().out
    assert load_bundle(out).manifest.compiled["edgetpu"].order[0] == "voice_encoder"
    stand_in.behave("partial")
    assert cli.main([*line, "--compiler", str(stand_in.program)]) == 1
    assert cli.main([*line, "--compiler", str(stand_in.program), "--min-mapped", "75"]) == 0
