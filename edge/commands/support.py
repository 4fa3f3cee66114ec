"""`earsight support-dump`: what helps to help, without telling who is heard or where."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

from ..config import load_config
from ..support.archive import write_support_dump


def support_dump(args: Namespace) -> int:
    """Write the archive and say what is in it."""
    path: Path = args.out or Path(time.strftime("earsight-support-%Y%m%d-%H%M%S.tar.gz"))
    members = write_support_dump(path, load_config(args.config))
    print(f"{path}:")
    for name, size in members.items():
        print(f"  {size:7,d} bytes  {name}")
    print("names, hosts, paths and secrets are hidden; look through it before you pass it on")
    return 0
