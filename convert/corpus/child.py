"""The process that embeds the items of one shard, one after the other.

Usage: python -m convert.corpus.child DESCRIPTOR, a socket on which `process.py` speaks with it.

It ends when the socket does, so that none outlives its parent, and a decoder that never ends is
ended by an alarm clock, which needs nobody to watch it.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge import __version__
from edge.bundle import load_bundle
from edge.errors import BundleError, EarsightError, RuntimeUnavailable
from edge.runtime import find_backend

from .plan import Reading, parts_of

if TYPE_CHECKING:
    from collections.abc import Mapping

STARTING_S = 300  # to import everything and open the models
LONGEST_S = 600  # for one item; four hours of sound, the longest taken, need 100 s of a PC


@dataclass(frozen=True, slots=True)
class Order:
    """What a child must have before it is given items."""

    bundle: Path
    made_with: Mapping[str, str]  # what the bundle's parts must be, by SHA-256
    reading: Reading
    version: str  # of earsight
    longest_s: int  # for one item; then the child ends


def check_order(order: Order) -> Any:
    """Return the bundle that an order names.

    Raises:
        BundleError: it is not here, is damaged, or is another one.
        RuntimeUnavailable: another earsight runs here than where the order was given.
    """
    if order.version != __version__:
        raise RuntimeUnavailable(
            f"earsight is {__version__} here and {order.version} where the command runs; "
            "install the same"
        )
    bundle = load_bundle(order.bundle)
    if parts_of(bundle) != dict(order.made_with):
        raise BundleError(f"{order.bundle}: is another bundle here than where the command runs")
    return bundle


def serve(connection: Any) -> None:
    """Take an order, then items, and answer each, until the parent closes the socket."""
    from .embedding import Embedder

    signal.alarm(STARTING_S)
    order: Order = connection.recv()
    embedder = Embedder(check_order(order), order.reading)
    backend = find_backend()
    connection.send(f"{backend.name} {backend.version}")
    while True:
        signal.alarm(0)
        item = connection.recv()
        signal.alarm(order.longest_s)
        connection.send(embedder.embed(item))


def main(descriptor: int) -> None:
    """Serve a parent on an inherited socket."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, whatever it is at
    connection = Connection(descriptor)
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        try:
            serve(connection)
        except EarsightError as exc:
            connection.send(exc)


if __name__ == "__main__":
    main(int(sys.argv[1]))
