"""`earsight run` with a fault on demand: a stage that hangs as long as a file is there.

Run: python -m tests.stalling_daemon inference|capture FILE ARGUMENTS...
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge import cli
from edge.live import Capture
from edge.pipeline import Ear

STAGES: dict[str, tuple[type, str]] = {
    "inference": (Ear, "look"),
    "capture": (Capture, "_take_sound"),
}


def hang_in(stage: str, fault: Path) -> None:
    """Let a stage hang before its next work while the file is there."""
    owner, method = STAGES[stage]
    works: Callable[..., Any] = getattr(owner, method)

    def perhaps(*args: Any) -> Any:
        while fault.exists():
            time.sleep(0.05)
        return works(*args)

    setattr(owner, method, perhaps)


if __name__ == "__main__":
    hang_in(sys.argv[1], Path(sys.argv[2]))
    sys.exit(cli.main(sys.argv[3:]))
