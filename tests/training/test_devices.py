"""Several devices train by the same command as one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from sams_core.api import SAMSVAE
from sams_core.data import read_screen
from tests.conftest import ROOT
from tests.support.tiny import tiny_screen


def test_two_processes_write_one_checkpoint(tmp_path: Path) -> None:
    screen, run = tmp_path / "screen.h5ad", tmp_path / "run"
    tiny_screen().to_anndata().write_h5ad(screen)
    command = [
        *(sys.executable, "-m", "sams_core", "train", str(screen), "--out", str(run)),
        *("--perturbation-key", "perturbation", "--accelerator", "cpu", "--devices", "2"),
        *("--max-steps", "30", "--validation-every", "10", "--batch-size", "64"),
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Written to") == 1
    model = SAMSVAE.load(run, read_screen(screen, perturbation_key="perturbation"))
    assert not model.unfinished
    assert list(model.history["step"].unique()) == [10, 20, 30]
    assert bool(torch.isfinite(model.module.decoder_head.weight).all())
