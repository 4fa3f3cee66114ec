"""What `earsight doctor` says of the accelerator, after trying it."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Literal

from ..bundle import Bundle
from .delegate import AcceleratorSettings, choose_delegate
from .failover import Accelerator
from .hardware import ROOT, find_corals
from .session import AcceleratorError


def examine_accelerator(
    settings: AcceleratorSettings, bundle: Bundle, root: Path = ROOT
) -> tuple[Literal["ok", "warn", "fail"], str]:
    """Open every model on the accelerator and run it; `root` is / but for tests.

    Raises:
        ConfigError: settings that cannot work together.
    """
    cpu = f"models run on the CPU: {os.cpu_count()} cores {platform.machine()}"
    delegate = choose_delegate(settings)
    if delegate is None:
        return "ok", f"not to be used; {cpu}"
    corals = [coral.describe() for coral in find_corals(root)]
    accelerator = Accelerator(delegate, settings, root)
    for model in bundle.manifest.models:
        accelerator.open(bundle, model)
    if not accelerator.models:
        text = f"the bundle has no files for it, run: earsight-convert tpu compile; {cpu}"
        if settings.use == "edgetpu":
            return "fail", text
        return ("warn", f"{corals[0]}, but {text}") if corals else ("ok", f"none; {cpu}")
    try:
        session = accelerator.open_session()
    except AcceleratorError as exc:
        if settings.use == "auto" and exc.verdict.state == "no_device":
            return "ok", f"none is plugged in; {cpu}"
        return ("warn" if settings.use == "auto" else "fail"), f"{exc}; {cpu}"
    session.close()
    times = ", ".join(
        f"{name} {session.cold_ms[name]:.1f} ms cold {session.warm_ms[name]:.1f} ms warm"
        for name in session.cold_ms
    )
    seen = "; ".join([delegate.library, session.version, *corals, session.runtime])
    return "ok", f"{seen}; {times}"
