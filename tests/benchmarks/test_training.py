"""The loop without Lightning takes the steps that training takes."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.training import WITH_MASKS, BareLoop, carried_perturbations, fit_intervals
from sams_core.api import SAMSVAE
from sams_core.data import Screen
from sams_core.training.config import TrainingConfig
from tests.support.tiny import tiny_screen

STEPS = 6


def new_model(screen: Screen) -> SAMSVAE:
    return SAMSVAE(screen, split=np.full(screen.n_cells, "train"), n_latent=3, n_hidden=8)


def test_bare_loop_follows_training() -> None:
    screen = tiny_screen()
    config = TrainingConfig(
        max_steps=STEPS, batch_size=32, validation_every=2, n_particles=3, **WITH_MASKS
    )
    trained, bare = new_model(screen).module, new_model(screen).module
    visited: list[int] = []
    seconds = fit_intervals(trained, screen, config, between=lambda: visited.append(1))
    assert len(visited) == STEPS // config.validation_every
    assert len(seconds) == len(visited) - 1
    loop = BareLoop(bare, screen, config)
    for _ in range(STEPS):
        assert torch.isfinite(loop.step())
    for name, value in trained.state_dict().items():
        torch.testing.assert_close(bare.state_dict()[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_perturbations_of_a_minibatch() -> None:
    screen = tiny_screen()
    assert carried_perturbations(screen, screen.n_cells) == screen.n_perturbations
    assert carried_perturbations(screen, 1) < 2.01
