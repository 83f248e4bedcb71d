"""Every family trains, and goes on from where it was stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from sams_core.data import Screen
from sams_core.models import PerturbationVAE
from sams_core.training import TrainingConfig, data_statistics, fit
from sams_core.training.callbacks import Keeper
from tests.support.tiny import VARIANTS, tiny_screen, variant_module

STEPS = 20


class StoppedError(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(scope="module")
def screen() -> Screen:
    return tiny_screen()


@pytest.fixture(scope="module")
def split(screen: Screen) -> np.ndarray:
    return np.where(np.arange(screen.n_cells) % 4 == 0, "val", "train")


def new_module(variant: str, screen: Screen, split: np.ndarray) -> PerturbationVAE:
    torch.manual_seed(0)
    module = variant_module(
        variant, screen.n_genes, screen.n_perturbations, n_latent=4, n_hidden=16
    )
    module.initialise(data_statistics(screen, split))
    return module


def train(
    module: PerturbationVAE, screen: Screen, split: np.ndarray, folder: Path | None = None
) -> tuple[pd.DataFrame, dict[str, Tensor]]:
    """Twenty steps: the curves and the kept weights."""
    config = TrainingConfig(max_steps=STEPS, validation_every=4, batch_size=64, learning_rate=0.01)
    kept: dict[str, Tensor] = {}
    state = None if folder is None else folder / "state.safetensors"
    history = fit(
        module, screen, split, config, save_weights=kept.update, folder=folder, state_path=state
    )
    return history, kept


@pytest.mark.parametrize("variant", VARIANTS)
def test_twenty_steps_lower_the_loss(variant: str, screen: Screen, split: np.ndarray) -> None:
    module = new_module(variant, screen, split)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    history, kept = train(module, screen, split)
    for part in ("train", "validation"):
        elbo = history.loc[history["split"] == part, "elbo"]
        assert elbo.iloc[-1] > elbo.iloc[0] + 1, part
        assert bool(np.isfinite(history.loc[history["split"] == part, "kl_z_basal"]).all())
    for name, parameter in module.named_parameters():
        assert not torch.equal(parameter.detach(), before[name]), f"{name} was not trained"
        assert bool(torch.isfinite(kept[name]).all())
    assert bool(history["share_open"].notna().all()) == module.has_mask


@pytest.mark.parametrize("variant", ["cpa_vae correlated_z", "svae_plus", "conditional_vae"])
@pytest.mark.parametrize("stop_at", [3, 9])
def test_resumes_exactly(
    variant: str,
    stop_at: int,
    screen: Screen,
    split: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folders = [tmp_path / name for name in ("whole", "stopped")]
    for folder in folders:
        folder.mkdir()
    history, kept = train(new_module(variant, screen, split), screen, split, folders[0])
    original = Keeper.on_train_batch_end

    def stop(self: Keeper, trainer, module, *args) -> None:  # type: ignore[no-untyped-def]
        original(self, trainer, module, *args)
        if trainer.global_step == stop_at:
            raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "on_train_batch_end", stop)
        with pytest.raises(StoppedError):
            train(new_module(variant, screen, split), screen, split, folders[1])
    assert (folders[1] / "state.safetensors").exists() == (stop_at >= 4)
    module = new_module(variant, screen, split)
    resumed_history, resumed = train(module, screen, split, folders[1])
    assert all(torch.equal(resumed[name], kept[name]) for name in kept)
    pd.testing.assert_frame_equal(
        resumed_history.drop(columns="seconds"), history.drop(columns="seconds")
    )
