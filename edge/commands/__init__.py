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
    "enroll": ("enroll", "enroll"),
    "find": ("voices", "find_voices"),
    "people list": ("people", "list_people"),
    "people remove": ("people", "remove_person"),
    "people rename": ("people", "rename_person"),
    "people consent": ("people", "record_consent"),
    "people audit": ("people", "show_audit"),
    "people export": ("people_files", "export"),
    "people import": ("people_files", "import_"),
    "people migrate": ("people_files", "migrate"),
    "people encrypt": ("people_files", "encrypt"),
    "people decrypt": ("people_files", "decrypt"),
    "review": ("review", "review"),
    "forget": ("forget", "forget"),
    "bundle show": ("bundle", "show_bundle"),
    "bundle verify": ("bundle", "verify_bundle"),
    "bundle install": ("bundle", "install_bundle"),
    "bundle rollback": ("bundle", "rollback_bundle"),
    "devices": ("devices", "list_devices"),
    "config": ("config", "show_config"),
    "doctor": ("doctor", "examine"),
    "bench": ("bench", "bench"),
    "support-dump": ("support", "support_dump"),
}


def find(command: str) -> Callable[[Namespace], int]:
    """Return the function that carries a command out and gives its exit code."""
    module, function = COMMANDS[command]
    found: Callable[[Namespace], int] = getattr(
        importlib.import_module(f".{module}", __name__), function
    )
    return found
