"""What each `earsight` command does once its arguments are understood, a module for each.

Importing this package imports none of them: `find` does, for the one that is run.
"""

from __future__ import annotations

import importlib
from argparse import Namespace
from collections.abc import Callable, Mapping

# command → (module here, function)
COMMANDS: Mapping[str, tuple[str, str]] = {
    "hear": ("hear", "hear"),
    "run": ("run", "run"),
    "replay": ("replay", "replay"),
    "enroll": ("people", "enroll"),
    "people list": ("people", "list_people"),
    "people remove": ("people", "remove_person"),
    "forget": ("forget", "forget"),
    "bundle show": ("bundle", "show_bundle"),
    "bundle verify": ("bundle", "verify_bundle"),
    "devices": ("devices", "list_devices"),
    "config": ("config", "show_config"),
    "doctor": ("doctor", "examine"),
    "bench": ("bench", "bench"),
}


def find(command: str) -> Callable[[Namespace], int]:
    """Return the function that carries a command out and gives its exit code."""
    module, function = COMMANDS[command]
    found: Callable[[Namespace], int] = getattr(
        importlib.import_module(f".{module}", __name__), function
    )
    return found
