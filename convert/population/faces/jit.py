"""Compile the drawing kernels with Numba, caching the machine code where that is possible.

Numba writes its cache beside the module or, failing that, in the user's cache folder. Where
neither is writable (a read-only install run by a system user) the kernels are compiled anew in
every process, which costs seconds, not correctness.
The cache notices a change of the kernel's own file only: after editing a kernel that others call,
delete `__pycache__/*.nb?`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from edge.errors import RuntimeUnavailable

try:
    from numba import njit
except ImportError as error:  # pragma: no cover - depends on the installation
    raise RuntimeUnavailable(
        "drawing faces needs Numba: pip install 'earsight[convert]'"
    ) from error

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile `function` in nopython mode on its first call; cached on disk when possible."""
    try:
        return cast(F, njit(cache=True)(function))
    except RuntimeError:  # "no locator available": nowhere to write the cache
        return cast(F, njit(function))
