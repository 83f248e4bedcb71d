"""Small sweeps for tests: a configuration, and the command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.server import ROOT

SIMULATION = """
[simulation]
n_perturbations = 5
n_latent = 3
n_genes = 20
cells_per_perturbation = 30
n_control = 60
n_doubles = 3
depth = 400
"""
TRAINING = """
[training]
max_steps = 20
validation_every = 10
batch_size = 64
"""
EVALUATION = """
[evaluation]
iwelbo_particles = 2
ate_particles = 10
replicates = 39
"""
MODEL = """
[[models]]
family = "sams_vae"
n_latent = 3
n_hidden = 6
embedding_n_hidden = 4
"""
CPA = """
[[models]]
family = "cpa_vae"
n_latent = 3
n_hidden = 6
"""
TINY = SIMULATION + TRAINING + EVALUATION + MODEL


def write(path: Path, text: str = TINY) -> Path:
    """Write a configuration and return its path."""
    path.write_text(text, encoding="utf-8")
    return path


def start(config: Path, folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start a sweep in a session of its own, whose processes can be killed together."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "sams_core", "sweep"),
            *(str(config), "--out", str(folder), *options),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def living(session: int) -> list[int]:
    """Processes of a session that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(stat.parent.name))
    return found
