"""Why an accelerator does not compute: one word, and one line that says what to do.

libedgetpu itself says nothing: without a device, without permission and when another program has
it, the delegate is a null pointer and the message is empty. What the worker was doing when it
failed, and what the kernel knows of the hardware, tell the cases apart.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .delegate import Delegate
from .hardware import Coral, find_corals, find_holders, read_package

Step = Literal["start", "library", "devices", "delegate", "model", "run"]
State = Literal[
    "no_library",  # nothing by that name
    "broken_library",  # there, but it cannot be loaded: a dependency, another architecture
    "no_device",
    "no_driver",  # a PCIe card without /dev/apex_N
    "no_permission",
    "busy",
    "mismatch",  # library and interpreter were built for different TensorFlow Lites
    "too_old",  # the compiled files ask for a newer libedgetpu
    "crashed",
    "hung",
    "gone",  # it worked, and is not there any more
    "failed",  # anything else
]

PAIRS = "reported to work: libedgetpu 16.0tf2.17.1 with TFLite 2.17, 16.0tf2.19.1 with LiteRT 2"
DEVICE_STEPS = ("devices", "delegate")
MODEL_STEPS = ("model", "run")


@dataclass(frozen=True, slots=True)
class Failure:
    """How a worker failed."""

    step: Step  # what it was doing
    message: str = ""  # of the exception, or the last line on its stderr
    signal: int = 0  # that killed it
    hung: bool = False  # it gave no answer in time


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong."""

    state: State
    text: str  # one line; ends with what to do


def diagnose(failure: Failure, delegate: Delegate, runtime: str, root: Path) -> Verdict:
    """Return what is wrong with an accelerator that just failed.

    Args:
        failure: what was seen of the worker.
        delegate: what it was to load.
        runtime: the interpreter and its version, "" when it did not get so far.
        root: / but for tests.
    """
    if failure.hung:
        return _hung(failure, delegate)
    if failure.step == "library" and not failure.signal:
        return _library(failure.message, delegate)
    if failure.step in MODEL_STEPS and (pair := _pair(failure, delegate, runtime, root)):
        return pair
    if delegate.is_edgetpu and (missing := _device(failure, root)):
        return missing
    said = failure.message or "without a word"
    if failure.signal:
        how = f"{signal.Signals(failure.signal).name} at step '{failure.step}'"
        return Verdict("crashed", f"{delegate.library} crashed ({how}); install it again")
    return Verdict(
        "failed", f"{delegate.library} failed at step '{failure.step}': {said}; {_stuck()}"
    )


def _hung(failure: Failure, delegate: Delegate) -> Verdict:
    text = f"{delegate.library} gave no answer in time at step '{failure.step}'; {_stuck()}"
    return Verdict("hung", text)


def _library(message: str, delegate: Delegate) -> Verdict:
    name = delegate.library
    if message.startswith(f"{name}: cannot open shared object file: No such file"):
        how = "install libedgetpu1-std" if delegate.is_edgetpu else "set accelerator.library"
        return Verdict("no_library", f"{name} is not installed; {how}")
    return Verdict(
        "broken_library",
        f"{name} cannot be loaded ({message}); install what it needs, for this architecture",
    )


def _pair(failure: Failure, delegate: Delegate, runtime: str, root: Path) -> Verdict | None:
    """Return a verdict when library and interpreter, or library and files, do not fit together."""
    if "requires runtime version" in failure.message:
        text = f"the compiled models need a newer {delegate.library} ({failure.message}); update it"
        return Verdict("too_old", text)
    unfit = "custom op" in failure.message  # "Unsupported data type in", "Encountered unresolved"
    if unfit or (failure.signal and failure.step == "model"):
        library = read_package(root) or delegate.library
        how = f"crash, {signal.Signals(failure.signal).name}" if failure.signal else failure.message
        fit = PAIRS if delegate.is_edgetpu else "take the library built for this interpreter"
        return Verdict("mismatch", f"{library} does not fit {runtime} ({how}); {fit}")
    return None


def _device(failure: Failure, root: Path) -> Verdict | None:
    """Return a verdict when the hardware itself explains the failure."""
    corals = find_corals(root)
    if not corals and failure.step == "run":
        return Verdict("gone", "the Coral is not there any more; check cable, power supply, heat")
    if failure.signal or failure.step not in DEVICE_STEPS:
        return None
    if not corals:
        return Verdict(
            "no_device",
            "no Coral is plugged in (USB 1a6e:089a or 18d1:9302, PCI 1ac1:089a); a container or "
            "virtual machine must be given both USB ids",
        )
    usable = [coral for coral in corals if coral.node is not None]
    if not usable:
        return Verdict(
            "no_driver",
            f"{corals[0].describe()}: there is no /dev/apex_0; install the gasket driver",
        )
    if not any(coral.may_open() for coral in usable):
        return Verdict("no_permission", _permission(usable[0]))
    holders = [holder for coral in usable for holder in find_holders(coral, root)]
    if holders:
        text = f"the Coral is used by {', '.join(holders)}; one program at a time may: stop it"
        return Verdict("busy", text)
    return None


def _permission(coral: Coral) -> str:
    group = "apex" if coral.bus == "pci" else "plugdev"
    return (
        f"{coral.node}: not permitted ({coral.describe()}); install the udev rules of "
        f"firmware_cfg/ and be in the group {group}"
    )


def _stuck() -> str:
    return "unplug the accelerator and plug it in again, with a short cable and a strong supply"
