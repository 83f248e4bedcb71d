"""Every family trains, and goes on from where it was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from sams_core.api import FAMILIES, load_model
from sams_core.data import Screen
from sams_core.perturbation_model import PerturbationModel
from sams_core.training.callbacks import Keeper
from tests.support.tiny import VARIANTS, family_of, tiny_screen

QUICK: dict[str, Any] = {
    "max_steps": 20,
    "validation_every": 4,
    "batch_size": 64,
    "learning_rate": 0.01,
    "progress": False,
}


class StoppedError(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(scope="module")
def screen() -> Screen:
    return tiny_screen()


def new_model(variant: str, screen: Screen) -> PerturbationModel:
    family, settings = family_of(variant)
    return FAMILIES[family](screen, n_latent=4, n_hidden=16, **settings)


@pytest.mark.parametrize("variant", VARIANTS)
def test_twenty_steps_raise_the_elbo(variant: str, screen: Screen) -> None:
    model = new_model(variant, screen)
    before = {name: value.clone() for name, value in model.module.named_parameters()}
    history = model.train(**QUICK).history
    for part in ("train", "validation"):
        rows = history[history["split"] == part]
        assert rows["elbo"].iloc[-1] > rows["elbo"].iloc[0] + 1, part
        assert bool(np.isfinite(rows[["elbo", "kl_z_basal", "kl_mask", "kl_embedding"]]).all(None))
    for name, parameter in model.module.named_parameters():
        assert not torch.equal(parameter, before[name]), f"{name} was not trained"
    assert bool(history["share_open"].notna().all()) == model.has_mask


@pytest.mark.parametrize("variant", ["cpa_vae correlated_z", "svae_plus", "conditional_vae"])
@pytest.mark.parametrize("stop_at", [3, 9])
def test_resumes_exactly(
    variant: str, stop_at: int, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = new_model(variant, screen).train(out=tmp_path / "whole", **QUICK)
    original = Keeper.on_train_batch_end

    def stop(self: Keeper, trainer, module, *args) -> None:  # type: ignore[no-untyped-def]
        original(self, trainer, module, *args)
        if trainer.global_step == stop_at:
            raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "on_train_batch_end", stop)
        with pytest.raises(StoppedError):
            new_model(variant, screen).train(out=tmp_path / "stopped", **QUICK)
    stopped = load_model(tmp_path / "stopped", screen)
    assert stopped.unfinished
    stopped.resume(progress=False)
    for resumed in (stopped, load_model(tmp_path / "stopped")):
        for name, expected in whole.module.state_dict().items():
            assert torch.equal(resumed.module.state_dict()[name], expected), name
    pd.testing.assert_frame_equal(
        stopped.history.drop(columns="seconds"), whole.history.drop(columns="seconds")
    )
