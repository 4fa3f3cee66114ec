"""What tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of test assets that lies beside the project's own checkouts."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the shared assets (real voices, head geometry) are not on this machine")
    return folder
