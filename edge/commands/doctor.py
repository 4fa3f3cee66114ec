"""`earsight doctor`: is everything there that the daemon needs?"""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict

from .. import doctor
from ..config import load_config

MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


def examine(args: Namespace) -> int:
    """Print one line for each check; return 1 when any failed."""
    findings = doctor.examine(load_config(args.config).config, listen=not args.quick)
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            print(f"{MARKS[finding.status]}  {finding.check:{width}}  {finding.text}")
    return int(any(finding.status == "fail" for finding in findings))
