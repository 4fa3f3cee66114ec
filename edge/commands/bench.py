"""`earsight bench`: what hearing costs on this machine."""

from __future__ import annotations

import json
import os
import platform
from argparse import Namespace
from dataclasses import asdict

import numpy as np

from .. import __version__
from ..bench import measure, measure_accelerator
from ..config import load_config
from ..install.store import bundle_in_use
from ..runtime import find_backend


def bench(args: Namespace) -> int:
    """Print the median and the 95th percentile of each figure."""
    backend = find_backend()
    machine = {
        "earsight": __version__,
        "machine": platform.machine(),
        "cores": str(os.cpu_count()),
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        backend.name: backend.version,
    }
    path = args.bundle or bundle_in_use()
    config = load_config().config
    machine["threads of a model"] = str(config.bundle.threads)
    rows = [
        *measure(path, config.audio, config.bundle.threads),
        *measure_accelerator(path, config.accelerator),
    ]
    if args.json:
        print(json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=2))
        return 0
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    width = max(len(row.name) for row in rows)
    print(f"{'':{width}}  {'p50':>10}  {'p95':>10}")
    for row in rows:
        print(f"{row.name:{width}}  {row.p50:10.3f}  {row.p95:10.3f}  {row.unit}")
    return 0
