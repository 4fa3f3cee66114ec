"""`earsight devices`: the microphones of this machine, and how a configuration names them."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict

from ..audio.devices import describe, list_microphones


def list_devices(args: Namespace) -> int:
    """Print what could be `audio.device`."""
    microphones = list_microphones()
    if args.json:
        print(json.dumps([asdict(microphone) for microphone in microphones], indent=2))
    else:
        print(describe(microphones))
    return 0
