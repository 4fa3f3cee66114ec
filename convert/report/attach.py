"""Puts a report into the bundle it is about."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from edge.bundle import MANIFEST, Bundle, write_bundle
from edge.manifest import file_info

NAME = "report.json"


def attach_report(bundle: Bundle, report: bytes) -> Bundle:
    """Write the bundle anew with this `report.json`; everything else in it stays byte for byte.

    Raises:
        StorageError: the disk refused; the bundle is as it was.
    """
    manifest = bundle.manifest
    contents = {f.name: f.read_bytes() for f in bundle.path.iterdir() if f.name != MANIFEST}
    contents[NAME] = report
    files = {**manifest.files, Path(NAME).stem: file_info(NAME, report)}
    return write_bundle(bundle.path, dataclasses.replace(manifest, files=files), contents)
