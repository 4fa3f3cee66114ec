"""`earsight config`: every key with its value and where that comes from."""

from __future__ import annotations

import json
import textwrap
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from ..config import DEFAULT, DeviceConfig, flatten, load_config, to_tree
from ..config_reference import REFERENCE, SECTIONS

WIDTH = 100


def show_config(args: Namespace) -> int:
    """Print the configuration in force as TOML, or the defaults as a file to edit."""
    if args.defaults:
        print("\n".join(_defaults()))
        return 0
    effective = load_config(args.config)
    tree = to_tree(effective.config)
    if args.json:
        found = {
            key: {"value": value, "origin": effective.origins[key]} for key, value in flatten(tree)
        }
        print(json.dumps(found, indent=2))
        return 0
    for section, values in tree.items():
        print(f"[{section}]")
        lines = {key: f"{key} = {_toml(value)}" for key, value in values.items()}
        width = max(map(len, lines.values()))
        for key, line in lines.items():
            origin = effective.origins[f"{section}.{key}"]
            print(f"{line:{width}}  # {origin}" if origin != DEFAULT else line)
        print()
    return 0


def _defaults() -> Iterator[str]:
    """Yield the lines of a file in which every key stands with its default, commented out."""
    yield "# earsight's configuration: take the # away before a key to change it."
    yield "# Copy to /etc/earsight/earsight.toml, or give it with --config. A variable named"
    yield "# EARSIGHT_SECTION__KEY wins over both. Made by: earsight config --defaults"
    for section, values in to_tree(DeviceConfig()).items():
        yield ""
        yield f"# {SECTIONS[section]}"
        yield f"[{section}]"
        for key, value in values.items():
            reference = REFERENCE[f"{section}.{key}"]
            text = reference.text
            if reference.choices:
                text += f": {', '.join(reference.choices)}"
            for line in textwrap.wrap(text, WIDTH - 2):
                yield f"# {line}"
            yield f"#{key} = {_toml(value)}"


def _toml(value: Any) -> str:
    """Return a value as TOML, whose strings, numbers and lists are also JSON's."""
    return json.dumps(value, ensure_ascii=False)
