"""A real Dask cluster on this machine: scheduler and workers are processes that can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

START_S = 60.0


class DaskCluster:
    """The processes of a cluster; `folder` takes their files and logs."""

    def __init__(self, folder: Path) -> None:
        self.address = ""
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler: subprocess.Popen[bytes] | None = None
        self._folder = folder

    def start_scheduler(self, environment: Mapping[str, str] | None = None) -> None:
        """Start the scheduler, at the address it had before if it had one."""
        found = self._folder / "scheduler.json"
        found.unlink(missing_ok=True)
        place = ["--port", self.address.rpartition(":")[2] or "0"]
        self.scheduler = self._start(
            "scheduler", *place, "--no-dashboard", "--no-show", "--scheduler-file", str(found),
            environment=environment,
        )  # fmt: skip
        deadline = time.monotonic() + START_S
        while not found.exists() or not found.read_text():
            if time.monotonic() > deadline or self.scheduler.poll() is not None:
                raise RuntimeError(f"no scheduler: {(self._folder / 'scheduler.log').read_text()}")
            time.sleep(0.05)
        self.address = json.loads(found.read_text())["address"]

    def start_worker(self, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a worker of one thread."""
        name = f"worker{len(self.workers)}"
        worker = self._start(
            "worker", self.address, "--no-nanny", "--no-dashboard", "--nthreads", "1",
            "--local-directory", str(self._folder / name), name=name, environment=environment,
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        """End every process at once; a worker told to end would wait for its shard."""
        processes = [*self.workers, *([self.scheduler] if self.scheduler else [])]
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()

    def _start(
        self,
        kind: str,
        *arguments: str,
        name: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name or kind}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--host", "127.0.0.1",
                 *arguments],
                cwd=self._folder, stdout=log, stderr=log, env={**os.environ, **(environment or {})},
            )  # fmt: skip


@contextmanager
def dask_cluster(
    folder: Path, workers: int = 2, environment: Mapping[str, str] | None = None
) -> Iterator[DaskCluster]:
    """Yield a running cluster, its scheduler with this environment too; end it in any case."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = DaskCluster(folder)
    try:
        cluster.start_scheduler(environment)
        for _ in range(workers):
            cluster.start_worker()
        yield cluster
    finally:
        cluster.close()


def children_of(pid: int) -> set[int]:
    """Return the processes that embed for a worker."""
    import psutil

    return {
        child.pid
        for child in psutil.Process(pid).children(recursive=True)
        if "convert.corpus.child" in child.cmdline()
    }
