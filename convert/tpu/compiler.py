"""Runs edgetpu_compiler, which crashes, hangs, and exists for x86-64 Linux only."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from edge.errors import CompilerUnavailable, ConfigError, EarsightError

from .log import CompilerLog, parse_log

PROGRAM = "edgetpu_compiler"
ATTEMPTS = 3  # it fails at random (google-coral/edgetpu#211: the same call passes a little later)
ENDS_S = 30.0  # that it gets beyond its own time limit
GET_IT = (
    "run: git clone https://github.com/google-coral/edgetpu, and add "
    f"--compiler edgetpu/compiler/x86_64/{PROGRAM}; or give --container IMAGE with it inside"
)


@dataclass(frozen=True, slots=True)
class CompilerOptions:
    """How to run it."""

    program: Path | None = None  # None: on the PATH
    container: str = ""  # image that has it; "": no container
    timeout_s: int = 300  # for one attempt
    min_runtime: int | None = None  # RuntimeVersion of the libedgetpu to compile for; None: newest
    search: bool = False  # --search_delegate: cut earlier and earlier until it compiles


@dataclass(frozen=True, slots=True)
class Compilation:
    """What came out."""

    log: CompilerLog
    text: str  # all it printed
    files: Mapping[str, bytes]  # model → compiled .tflite


class CompilationError(EarsightError):
    """The compiler did not compile."""

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        self.text = text  # all it printed


def compile_together(models: Mapping[str, bytes], options: CompilerOptions) -> Compilation:
    """Compile models (name → .tflite) in one run, so that they share the memory on the chip.

    Args:
        models: in their order of priority; the first gets all the memory that it needs.
        options: how to run the compiler.

    Raises:
        CompilerUnavailable: there is none here; says how to get it.
        ConfigError: the program, or the container, that was asked for is not there.
        CompilationError: it failed, crashed or hung, or wrote no file.
    """
    with TemporaryDirectory(prefix="earsight-tpu-") as name:
        folder = Path(name)
        for model, content in models.items():
            (folder / f"{model}.tflite").write_bytes(content)
        command = [*_find(options, folder), *_arguments(models, options)]
        text = ""
        for _ in range(ATTEMPTS):
            text += (said := _run(command, folder, options.timeout_s))
            if parse_log(said).succeeded or "Internal compiler error" not in said:
                break
        log = parse_log(said)
        if not log.succeeded:
            why = log.failures[-1] if log.failures else "it says nothing"
            raise CompilationError(f"{PROGRAM} failed: {why}; see its log", text)
        files = {}
        for model in models:
            try:
                files[model] = (folder / f"{model}_edgetpu.tflite").read_bytes()
            except OSError as exc:
                raise CompilationError(
                    f"{PROGRAM} says that it succeeded and wrote no {model}_edgetpu.tflite; "
                    "see its log",
                    text,
                ) from exc
        return Compilation(log, text, files)


def _find(options: CompilerOptions, folder: Path) -> list[str]:
    """Return the beginning of the command line."""
    if options.container:
        engine = shutil.which("podman") or shutil.which("docker")
        if engine is None:
            raise ConfigError("--container needs podman or docker; install one")
        run = ["run", "--rm", "--network=none", "--volume", f"{folder}:/work", "--workdir", "/work"]
        limit = ["timeout", str(options.timeout_s + ENDS_S)]  # killing the engine would not end it
        return [engine, *run, options.container, *limit, PROGRAM]
    found = shutil.which(options.program or PROGRAM)
    if found is not None:
        return [str(Path(found).absolute())]  # it runs in another folder
    if options.program is not None:
        raise ConfigError(f"{options.program}: is not a program; {GET_IT}")
    machine = platform.machine()
    where = "" if machine == "x86_64" else f" and runs on x86-64 Linux only, which {machine} is not"
    raise CompilerUnavailable(f"{PROGRAM} is not installed{where}; {GET_IT}")


def _arguments(models: Mapping[str, bytes], options: CompilerOptions) -> list[str]:
    wanted = ["--show_operations", "--timeout_sec", str(options.timeout_s), "--out_dir", "."]
    if options.min_runtime is not None:
        wanted += ["--min_runtime_version", str(options.min_runtime)]
    if options.search:
        wanted += ["--search_delegate"]
    return [*wanted, *(f"{model}.tflite" for model in models)]


def _run(command: Sequence[str], folder: Path, timeout_s: int) -> str:
    """Return all that the compiler prints; its exit code says less than that."""
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # it starts a child that outlives it
        )
    except OSError as exc:  # of another processor, say
        raise ConfigError(f"{command[0]}: cannot be run here ({exc.strerror}); {GET_IT}") from exc
    try:
        text, _ = process.communicate(timeout=timeout_s + ENDS_S)
    except subprocess.TimeoutExpired as exc:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        text, _ = process.communicate()
        raise CompilationError(
            f"{PROGRAM} gave no result in {timeout_s + ENDS_S:.0f} s; give it more with --timeout, "
            "or cut the model earlier with --search",
            text,
        ) from exc
    if process.returncode < 0:
        how = signal.Signals(-process.returncode).name
        raise CompilationError(f"{PROGRAM} crashed ({how}); see its log, try --search", text)
    if process.returncode and not parse_log(text).failures:
        line = text.strip().splitlines()[-1] if text.strip() else "nothing"
        raise CompilationError(
            f"{PROGRAM} ended with {process.returncode} and said: {line}; see its log", text
        )
    return text
