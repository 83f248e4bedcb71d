"""Several devices train by the same command as one, and take the same steps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from sams_core.api import SAMSVAE
from sams_core.data import read_screen
from sams_core.errors import ConfigError
from sams_core.training import Hardware
from tests.conftest import ROOT
from tests.support.tiny import tiny_screen
from tests.support.training_together import SETTINGS, train_noting

FOLLOWED = (
    "sams_vae correlated",
    "sams_vae mean_field learned",
    "cpa_vae correlated_z",
    "svae_plus",
    "conditional_vae",
)


def run(*command: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_processes_write_one_checkpoint(tmp_path: Path) -> None:
    screen, folder = tmp_path / "screen.h5ad", tmp_path / "run"
    tiny_screen().to_anndata().write_h5ad(screen)
    output = run(
        *("sams_core", "train", screen, "--out", folder, "--perturbation-key", "perturbation"),
        *("--accelerator", "cpu", "--devices", "2", "--num-nodes", "1"),
        *("--max-steps", "30", "--validation-every", "10", "--batch-size", "64"),
    )
    assert output.count("Written to") == 1
    model = SAMSVAE.load(folder, read_screen(screen, perturbation_key="perturbation"))
    assert not model.unfinished
    assert list(model.history["step"].unique()) == [10, 20, 30]
    assert bool(torch.isfinite(model.module.decoder_head.weight).all())


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trainings of two processes."""
    folder = tmp_path_factory.mktemp("two")
    run("tests.support.training_together", folder, "2", *FOLLOWED)
    return folder


@pytest.mark.parametrize("variant", FOLLOWED)
def test_two_processes_take_the_steps_of_one(variant: str, two: Path, tmp_path: Path) -> None:
    """Through every phase, with shares of 9 and 8 cells and a gradient that is clipped."""
    train_noting(tmp_path, 1, variant)
    (alone,) = losses(tmp_path, variant)
    shares = losses(two, variant)
    assert len(shares) == 2
    assert len(alone) == SETTINGS["max_steps"]
    np.testing.assert_allclose(np.mean(shares, axis=0), alone, rtol=1e-5)
    found, expected = (load_file(place / f"{variant}.safetensors") for place in (two, tmp_path))
    for name, values in expected.items():
        bound = 1e-4 * float(values.abs().max())
        torch.testing.assert_close(found[name], values, rtol=0, atol=bound, msg=name)
    curves, curve = (
        pd.read_csv(place / f"{variant}.csv").drop(columns="seconds") for place in (two, tmp_path)
    )
    pd.testing.assert_frame_equal(curves, curve, rtol=1e-4, atol=1e-5)


def test_a_cluster_with_other_processes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    job = {"NTASKS": 4, "NNODES": 2, "NTASKS_PER_NODE": 2, "PROCID": 0, "LOCALID": 0, "NODEID": 0}
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    monkeypatch.setenv("SLURM_JOB_NAME", "train")
    model = SAMSVAE(tiny_screen(), n_latent=3, n_hidden=6)
    with pytest.raises(ConfigError, match="started other processes than devices and num_nodes"):
        model.train(hardware=Hardware("cpu", devices=1, num_nodes=2), progress=False, max_steps=2)


def losses(folder: Path, variant: str) -> list[list[float]]:
    """Loss of every step, for each process."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob(f"{variant}-*.json"))]
