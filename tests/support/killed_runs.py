"""Trains the same run again and again, each in a process that is killed at a random moment.

``python -m tests.support.killed_runs FOLDER N``: writes ``FOLDER/run0`` to ``FOLDER/run{N-1}``. The
moments are spread over the time that one whole training takes here, so that they hit training on
any machine.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from tests.support.tiny import tiny_screen
from tests.training.test_resume import SETTINGS, make


def start(folder: Path) -> int:
    """Start training in a process of its own; returns its number."""
    process = os.fork()
    if process == 0:
        make(tiny_screen()).train(out=folder, progress=False, **SETTINGS)
        os._exit(0)
    return process


def main() -> None:
    """Kill N trainings."""
    torch.set_num_threads(1)
    target, n_runs = Path(sys.argv[1]), int(sys.argv[2])
    chance = random.Random(0)
    started = time.monotonic()
    os.waitpid(start(target / "whole"), 0)
    duration = time.monotonic() - started
    for attempt in range(n_runs):
        folder = target / f"run{attempt}"
        process = start(folder)
        while not folder.exists():
            time.sleep(0.001)
        time.sleep(chance.uniform(0, duration))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


if __name__ == "__main__":
    main()
