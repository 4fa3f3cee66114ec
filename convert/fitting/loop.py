"""Runs the steps of a recipe: resumable, with progress, on any `tf.distribute` strategy."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edge.errors import ConfigError, EarsightError, InputError
from edge.storage import write_private

from ..training.batches import prefetch

SAVE_EVERY = 200  # steps
STRATEGIES = ("one", "mirrored", "multi-worker")


class State(Protocol):
    """A recipe in progress."""

    strategy: Any
    step: Any  # tf.Variable, steps done

    def parts(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, by name."""

    def train(self, step: int, batch: Any) -> float:
        """Take one step; returns its loss."""


def find_strategy(name: str) -> Any:
    """Return a `tf.distribute` strategy.

    Args:
        name: "one" device, "mirrored" on every GPU of this machine, or "multi-worker" over the
            machines that the variable TF_CONFIG names, each of which runs the same command.

    Raises:
        ConfigError: the name is not known.
    """
    import tensorflow as tf

    if name == "one":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if name == "multi-worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    raise ConfigError(f"--strategy: '{name}' is not one of {', '.join(STRATEGIES)}")


def shares(strategy: Any, arrays: tuple[npt.NDArray[Any], ...]) -> tuple[Any, ...]:
    """Return each replica's share of arrays whose first axis is the batch."""
    count = strategy.num_replicas_in_sync
    import tensorflow as tf

    def share(array: npt.NDArray[Any]) -> Any:
        parts = np.array_split(array, count)
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group])
        )

    return tuple(share(array) for array in arrays)


def check_batch(strategy: Any, size: int) -> None:
    """Raise ConfigError when a batch cannot be dealt out evenly to the replicas."""
    count = strategy.num_replicas_in_sync
    if size % count:
        raise ConfigError(f"--batch: is {size}, must be a multiple of the {count} replicas")


def is_chief(strategy: Any) -> bool:
    """Tell whether this process is the one that shows progress and writes the result."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.task_type or bool(resolver.task_id == 0)


def own_folder(strategy: Any, folder: Path) -> Path:
    """Return where this process keeps what it needs to go on; the chief in the folder itself."""
    if is_chief(strategy):
        return folder
    return folder / f"worker_{strategy.cluster_resolver.task_id}"


def same_run(folder: Path, about: Mapping[str, Any]) -> None:
    """Note what a folder's run is, or hold a run that goes on to what was noted.

    Raises:
        ConfigError: the folder holds another run.
    """
    kept = folder / "run.json"
    text = json.dumps(about, indent=2, sort_keys=True) + "\n"
    if not kept.is_file():
        write_private(kept, text.encode())
        return
    had = json.loads(kept.read_text(encoding="utf-8"))
    for key, value in json.loads(text).items():
        if had.get(key) != value:
            raise ConfigError(
                f"{folder}: holds another run ({key} {had.get(key)}, not {value}); "
                "give another --work, or remove it first"
            )


def run_steps(
    state: State,
    make: Callable[[int], Any],
    total: int,
    folder: Path,
    title: str,
    after: Callable[[int], str | None] | None = None,
) -> None:
    """Take the steps that are left; a checkpoint is kept every 200.

    On one machine one is kept when the run is interrupted, too.

    Args:
        state: what is trained.
        make: step → batch, made while the step before runs.
        total: steps of the whole run.
        folder: for the checkpoint; each worker of a cluster has its own.
        title: of the progress bar.
        after: called with the steps done; what it returns is printed.

    Raises:
        EarsightError: the loss is not finite; what was kept before is not touched.
        InputError: a file cannot be used; names it.
    """
    import tensorflow as tf
    from tqdm import tqdm

    chief = is_chief(state.strategy)
    checkpoint = tf.train.Checkpoint(**state.parts())
    manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1)
    manager.restore_or_initialize()
    start = int(state.step.numpy())
    batches = prefetch(make, start, total)
    with tqdm(total=total, initial=start, desc=title, unit="step", disable=not chief) as bar:
        try:
            for step, batch in zip(range(start, total), batches, strict=True):
                loss = state.train(step, batch)
                if not np.isfinite(loss):
                    raise EarsightError(
                        f"step {step + 1}: the loss is not finite; start from checkpoints "
                        "(--start), or take a larger --batch"
                    )
                state.step.assign(step + 1)
                bar.update()
                bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
                told = after(step + 1) if after else None
                if told and chief:
                    bar.write(told)
                if (step + 1) % SAVE_EVERY == 0 or step + 1 == total:
                    manager.save()
        except (KeyboardInterrupt, InputError):
            if state.strategy.cluster_resolver is None:  # else all workers would have to save
                manager.save()
            raise
