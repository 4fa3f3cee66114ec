"""Signs as a maker of bundles does: with OpenSSL's command, as firmware_cfg/stick.sh."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def openssl(*args: str | Path) -> None:
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


def make_key(folder: Path, name: str) -> Path:
    """Make a key pair and return the private file; the public one is `NAME.pub.pem` beside it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    private = folder / f"{name}.pem"
    openssl("genpkey", "-algorithm", "ed25519", "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", private.with_suffix(".pub.pem"))
    return private


def sign(file: Path, private: Path) -> None:
    """Write `FILE.sig` beside a file."""
    signature = file.with_name(f"{file.name}.sig")
    openssl("pkeyutl", "-sign", "-rawin", "-inkey", private, "-in", file, "-out", signature)
