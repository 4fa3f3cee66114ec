"""What a bundle keeps of its front-end, so that features can never silently differ."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def fingerprint(spec: DataclassInstance, *tables: npt.NDArray[np.float64]) -> str:
    """Return the SHA-256 of a specification and its tables, as 64 hexadecimal digits.

    Tables count in steps of 2**-20, so that it changes with the features but not with the last bit
    of a maths library.
    """
    digest = hashlib.sha256(json.dumps(asdict(spec), sort_keys=True).encode())
    for table in tables:
        digest.update(np.round(table * 2**20).astype("<i4").tobytes())
    return digest.hexdigest()
