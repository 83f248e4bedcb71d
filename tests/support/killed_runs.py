"""Trains the same run again and again, each in a process that is killed at a random moment.

``python -m tests.support.killed_runs FOLDER N``: writes ``FOLDER/run0`` to ``FOLDER/run{N-1}``. The
moments are spread over the time that a whole training takes here, counted from when its folder
appears; a training that ends before its moment shortens that time for the next.
"""

from __future__ import annotations

import math
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from tests.support.tiny import tiny_screen
from tests.training.test_resume import SETTINGS, make


def start(folder: Path) -> tuple[int, float]:
    """Start training in a process of its own; returns its number and when its folder appeared."""
    process = os.fork()
    if process == 0:
        make(tiny_screen()).train(out=folder, progress=False, **SETTINGS)
        os._exit(0)
    while not folder.exists():
        time.sleep(0.001)
    return process, time.monotonic()


def ended_within(process: int, started: float, seconds: float) -> float | None:
    """Seconds that the process took if it ends in time, otherwise None."""
    while (passed := time.monotonic() - started) < seconds:
        if os.waitpid(process, os.WNOHANG)[0]:
            return passed
        time.sleep(0.001)
    return None


def main() -> None:
    """Kill N trainings."""
    torch.set_num_threads(1)
    target, n_runs = Path(sys.argv[1]), int(sys.argv[2])
    chance = random.Random(0)
    duration = ended_within(*start(target / "whole"), seconds=math.inf)
    assert duration is not None
    for attempt in range(n_runs):
        process, started = start(target / f"run{attempt}")
        whole = ended_within(process, started, chance.uniform(0, duration))
        if whole is None:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        else:
            duration = min(duration, whole)


if __name__ == "__main__":
    main()
