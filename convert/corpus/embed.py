"""The whole of it: plan, find what is left to do, have it done, write each shard once."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from edge import __version__
from edge.bundle import load_bundle
from edge.errors import ConfigError, StorageError
from edge.storage import write_private

from ..datasets.item import Item
from .child import LONGEST_S, Order
from .cluster import PATHS, run_cluster
from .folder import alone_in, settle, whole_shards, write_shard
from .index import Entry, write_index
from .local import run_local
from .meter import Meter
from .plan import LARGEST_SHARD, Plan, Reading
from .process import ShardResult, ShardTask
from .reading import Corpus, read_corpus

FAILURES_NAME = "failures.csv"


def embed_items(
    bundle_path: Path,
    items: Iterable[Item],
    folder: Path,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    shard: int | None = None,
    reading: Reading = "device",
    progress: bool = True,
) -> Corpus:
    """Embed items with a bundle's int8 encoders into a folder; run again, go on where it stopped.

    Every item is in exactly one shard, with its vector or with the reason why it has none. Shards
    that are there and whole are kept. The bytes of a shard depend on bundle, items, files and the
    kind of processor, not on who computes it or how often it was interrupted. That a file has
    changed since it was embedded is not seen.

    Args:
        bundle_path: NAME.bundle.
        items: taken one by one; each needs an id of its own.
        folder: made when absent; 4 bytes x dimensions x items, and the ids.
        workers: processes on this machine.
        scheduler: address of a Dask scheduler, tcp://HOST:PORT, instead of processes here. Its
            workers must find bundle and files under the same paths.
        shard: items in each file, 1 to 65,536; None for 64 to 1024, by their number, or as
            it was begun.
        reading: "device" finds the speech of a recording and the face of a photo, as a device does;
            "published" takes both whole, as the papers' loaders do.
        progress: show a bar with rate and time left.

    Raises:
        BundleError: the bundle breaks the contract, lacks an encoder, or another one was used.
        ConfigError: there are no items, two have one id, or an argument is wrong.
        StorageError: the folder holds other items, is in use, or cannot be written.
        RuntimeUnavailable: nothing installed can run the models, or the cluster is lost.
    """
    if workers < 1:
        raise ConfigError(f"--workers: is {workers}, at least 1 is needed")
    if shard is not None and not 1 <= shard <= LARGEST_SHARD:
        raise ConfigError(f"--shard: is {shard}, must be 1 to {LARGEST_SHARD}")
    bundle = load_bundle(bundle_path.absolute())
    with alone_in(folder):
        plan, listed = settle(folder, bundle, items, shard, reading)
        done = whole_shards(folder, plan, listed)
        order = Order(bundle.path, plan.made_with, reading, __version__, LONGEST_S)
        todo = (
            ShardTask(number, order, plan.dim, listed.read(plan.rows(number)))
            for number in range(plan.shards)
            if number not in done
        )
        already = sum(entry.items for entry in done.values())
        with Meter(plan.items, already, show=progress) as meter:
            meter.fail(sum(entry.failed for entry in done.values()))
            if scheduler:
                results = run_cluster(todo, scheduler, meter.add, meter.tell)
            else:
                results = run_local(todo, workers, meter.add)
            with contextlib.closing(results):
                for result in results:
                    _refuse_unseen(result, listed.read(plan.rows(result.number)))
                    done[result.number] = write_shard(folder, plan, result.number, result.shard)
                    meter.fail(len(result.shard.failures))
        return _finish(folder, plan, [done[number] for number in range(plan.shards)])


def _refuse_unseen(result: ShardResult, items: Sequence[Item]) -> None:
    """Raise when a worker does not see files that are here: they must not count as missing."""
    for row in result.absent if result.where else ():
        if items[row].path.exists():
            raise StorageError(
                f"worker {result.where} does not see {items[row].path}, which is here; {PATHS}"
            )


def _finish(folder: Path, plan: Plan, entries: list[Entry]) -> Corpus:
    """Write the index and the list of failures; return the corpus."""
    write_index(folder, plan, entries)
    corpus = read_corpus(folder)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["id", "reason"])
    rows.writerows(corpus.failures())
    write_private(folder / FAILURES_NAME, text.getvalue().encode(errors="backslashreplace"))
    return corpus
