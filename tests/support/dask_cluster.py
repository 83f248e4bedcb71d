"""A Dask cluster in processes of its own, reached by the address of its scheduler."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.server import ROOT


@contextmanager
def dask_cluster(folder: Path, n_workers: int = 2, patience: float = 120) -> Iterator[str]:
    """Start a scheduler and workers of one thread each; yield the scheduler's address.

    Parameters
    ----------
    folder
        For their logs and scratch files.
    n_workers
        Worker processes.
    patience
        Seconds to wait for the scheduler.
    """
    note = folder / "scheduler.json"
    common = ["--scheduler-file", str(note), "--no-dashboard"]
    local = ["--host", "127.0.0.1"]
    commands = [["scheduler", *common, *local, "--port", "0"]]
    commands += [
        ["worker", *common, *local, "--nthreads", "1", "--local-directory", str(folder)]
    ] * n_workers
    processes = []
    with (folder / "dask.log").open("wb") as log:
        try:
            for command in commands:
                processes.append(_start(command, log.fileno()))
            yield _address(note, processes[0], time.monotonic() + patience)
        finally:
            for process in processes:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _start(command: list[str], log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{command[0]}", *command[1:]],
        cwd=ROOT,
        stdout=log,
        stderr=log,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def _address(note: Path, scheduler: subprocess.Popen[bytes], deadline: float) -> str:
    while time.monotonic() < deadline and scheduler.poll() is None:
        try:
            return str(json.loads(note.read_text())["address"])
        except (OSError, ValueError):
            time.sleep(0.1)
    raise RuntimeError("the Dask scheduler did not start")
