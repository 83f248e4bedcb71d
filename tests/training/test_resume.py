"""Interrupted training goes on to exactly the weights it would have reached."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from sams_core.api import SAMSVAE
from sams_core.data import Screen
from sams_core.errors import CheckpointError
from sams_core.training import TrainingConfig
from sams_core.training.callbacks import Keeper
from sams_core.training.lightning_module import TrainingModule
from sams_core.training.state import SafetensorsIO
from tests.conftest import ROOT
from tests.support.tiny import ALL_INFERENCE, family_of, tiny_screen, variant_module

SETTINGS: dict[str, Any] = {
    "max_steps": 60,
    "validation_every": 10,
    "batch_size": 64,
    "n_particles": 2,
}
ADDITIVE = [*(f"sams_vae {name}" for name in ALL_INFERENCE), "cpa_vae correlated_z"]
PLAIN = {"effects_fraction": 0.0, "pruned_fraction": 0.0, "mask_penalty_fraction": 0.0}
TOLERANCE = 1e-6


class InterruptedRunError(Exception):
    """Stands for whatever ends a process."""


def make(screen: Screen) -> SAMSVAE:
    return SAMSVAE(screen, seed=3, n_latent=4, n_hidden=8, embedding_n_hidden=8)


def differences(a: SAMSVAE, b: SAMSVAE) -> float:
    pairs = zip(a.module.state_dict().values(), b.module.state_dict().values(), strict=True)
    return max(float((x - y).abs().max()) for x, y in pairs)


@pytest.fixture(scope="module")
def screen() -> Screen:
    return tiny_screen()


@pytest.fixture(scope="module")
def uninterrupted(screen: Screen, tmp_path_factory: pytest.TempPathFactory) -> SAMSVAE:
    folder = tmp_path_factory.mktemp("whole") / "run"
    return make(screen).train(out=folder, progress=False, **SETTINGS)


def interrupted(screen: Screen, folder: Path, stop_at: int, **settings: Any) -> None:
    """Train until a step, after which the process ends."""
    original = Keeper.on_train_batch_end

    def stop(self: Keeper, trainer, module, *args) -> None:  # type: ignore[no-untyped-def]
        original(self, trainer, module, *args)
        if trainer.global_step == stop_at:
            raise InterruptedRunError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Keeper, "on_train_batch_end", stop)
        with pytest.raises(InterruptedRunError):
            make(screen).train(out=folder, progress=False, **settings)


@pytest.mark.parametrize("stop_at", [1, 10, 33, 59])
def test_resumes_exactly(
    stop_at: int, screen: Screen, uninterrupted: SAMSVAE, tmp_path: Path
) -> None:
    interrupted(screen, tmp_path / "run", stop_at, **SETTINGS)
    resumed = SAMSVAE.load(tmp_path / "run", screen)
    assert resumed.unfinished
    resumed.resume(progress=False)
    assert not resumed.unfinished
    assert differences(resumed, uninterrupted) <= TOLERANCE
    assert differences(SAMSVAE.load(tmp_path / "run"), uninterrupted) <= TOLERANCE
    curves = [model.history.drop(columns="seconds") for model in (resumed, uninterrupted)]
    pd.testing.assert_frame_equal(*curves)


def test_resumes_exactly_where_a_phase_begins(screen: Screen, tmp_path: Path) -> None:
    """The state of step 20 is of before the latent space is turned, which step 21 does first."""
    settings = {**SETTINGS, "effects_fraction": 1 / 3, "pruned_fraction": 1 / 3}
    whole = make(screen).train(progress=False, **settings)
    for stop_at in (20, 21, 40, 41):
        interrupted(screen, tmp_path / f"run{stop_at}", stop_at, **settings)
        resumed = SAMSVAE.load(tmp_path / f"run{stop_at}", screen).resume(progress=False)
        assert differences(resumed, whole) <= TOLERANCE


@pytest.mark.parametrize("variant", [*ADDITIVE, "svae_plus", "conditional_vae"])
def test_takes_up_the_optimiser_of_an_earlier_version(variant: str) -> None:
    """There the mask alone had a learning rate of its own, and SAMS-VAE no table beside E | M."""
    family, settings = family_of(variant)
    settings |= {"embedding_table": False} if family == "sams_vae" else {}
    module = variant_module(variant, 5, 3, n_latent=2, n_hidden=4, **settings)
    mask = [] if module.mask_logits is None else [module.mask_logits]
    others = [parameter for parameter in module.parameters() if parameter is not module.mask_logits]
    groups = [{"params": group} for group in (others, mask) if group]
    earlier = torch.optim.Adam(groups)
    for parameter in module.parameters():
        parameter.grad = torch.randn_like(parameter)
    earlier.step()
    config = TrainingConfig(learning_rate=1e-3, embedding_learning_rate=1e-3, effects_fraction=0)
    now = TrainingModule(module, config).configure_optimizers()["optimizer"]
    now.load_state_dict(earlier.state_dict())
    for parameter in module.parameters():
        assert torch.equal(now.state[parameter]["exp_avg"], earlier.state[parameter]["exp_avg"])


def test_stopped_between_weights_and_state(
    screen: Screen, uninterrupted: SAMSVAE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights of step 10 without the state of step 10: training starts again from its start."""

    def stop(*_args: object, **_options: object) -> None:
        raise InterruptedRunError

    with monkeypatch.context() as patch:
        patch.setattr(SafetensorsIO, "save_checkpoint", stop)
        with pytest.raises(InterruptedRunError):
            make(screen).train(out=tmp_path / "run", progress=False, **SETTINGS)
    resumed = SAMSVAE.load(tmp_path / "run", screen).resume(progress=False)
    assert differences(resumed, uninterrupted) <= TOLERANCE


def keep_training_folder(*_args: object) -> None:
    raise InterruptedRunError


@pytest.mark.parametrize("stopping_early", [False, True])
def test_stopped_after_the_last_step(
    stopping_early: bool, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All states are written, but the run was not yet marked as finished: no step is added."""
    settings = {**SETTINGS, **PLAIN, "validation_every": 2}
    if stopping_early:
        settings |= {"max_steps": 400, "early_stopping": 1, "learning_rate": 0.05}
    with monkeypatch.context() as patch:
        patch.setattr("sams_core.perturbation_model.remove_folder", keep_training_folder)
        with pytest.raises(InterruptedRunError):
            make(screen).train(out=tmp_path / "run", progress=False, **settings)
    stopped = SAMSVAE.load(tmp_path / "run", screen)
    assert stopped.unfinished
    resumed = SAMSVAE.load(tmp_path / "run", screen).resume(progress=False)
    assert not resumed.unfinished
    assert (int(resumed.history["step"].max()) < 400) or not stopping_early
    assert differences(stopped, resumed) == 0
    pd.testing.assert_frame_equal(stopped.history, resumed.history)


def stop_after_the_last_step(screen: Screen, folder: Path, patched: pytest.MonkeyPatch) -> None:
    with patched.context() as patch:
        patch.setattr("sams_core.perturbation_model.remove_folder", keep_training_folder)
        with pytest.raises(InterruptedRunError):
            make(screen).train(out=folder, progress=False, **SETTINGS)


def test_resumes_without_its_curves_or_halfway_tables(
    screen: Screen, uninterrupted: SAMSVAE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after_the_last_step(screen, tmp_path / "run", monkeypatch)
    (tmp_path / "run" / "history.csv").unlink()
    (tmp_path / "run" / "explorer").mkdir()
    resumed = SAMSVAE.load(tmp_path / "run", screen).resume(progress=False)
    assert differences(resumed, uninterrupted) <= TOLERANCE
    assert not (tmp_path / "run" / "explorer").exists()


@pytest.mark.parametrize("damage", ["header", "tensors", "cut"])
def test_a_damaged_state_is_one_sentence(
    damage: str, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after_the_last_step(screen, tmp_path / "run", monkeypatch)
    state = tmp_path / "run" / "training" / "state.safetensors"
    whole = state.read_bytes()
    step = rb"\"step\": \"60\""
    assert whole.count(step) == 1
    damaged = {
        "header": whole.replace(step, step.replace(b"6", b"x")),
        "tensors": whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],
        "cut": whole[: len(whole) // 2],
    }
    state.write_bytes(damaged[damage])
    with pytest.raises(CheckpointError, match=r"state\.safetensors is damaged or cut short"):
        SAMSVAE.load(tmp_path / "run", screen).resume(progress=False)


def test_a_finished_run_has_nothing_to_resume(screen: Screen, uninterrupted: SAMSVAE) -> None:
    assert uninterrupted.folder is not None
    again = SAMSVAE.load(uninterrupted.folder, screen)
    assert not again.unfinished
    assert differences(again.resume(progress=False), uninterrupted) == 0


def test_survives_kill_at_random_moments(
    screen: Screen, uninterrupted: SAMSVAE, tmp_path: Path
) -> None:
    """``kill -9``, 20 times: always a loadable checkpoint, always an exact resume."""
    subprocess.run(
        [sys.executable, "-m", "tests.support.killed_runs", str(tmp_path), "20"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=300,
    )
    unfinished = 0
    for attempt in range(20):
        model = SAMSVAE.load(tmp_path / f"run{attempt}", screen)
        unfinished += model.unfinished
        assert bool(torch.isfinite(model.module.decoder_head.weight).all())
        assert differences(model.resume(progress=False), uninterrupted) <= TOLERANCE
    assert unfinished > 5, "hardly any run was interrupted: spread the moments otherwise"
