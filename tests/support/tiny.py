"""Small models and screens for tests that need real ones."""

from __future__ import annotations

import numpy as np
import torch

from sams_core.data import Screen, SimulationConfig, simulate_screen
from sams_core.models import DataStatistics, Inference, Minibatch, SAMSVAEConfig, SAMSVAEModule
from sams_core.models.base import N_QUANTILES

ALL_INFERENCE: tuple[Inference, ...] = ("correlated", "correlated_z", "correlated_e", "mean_field")


def tiny_module(
    inference: Inference = "correlated",
    *,
    seed: int = 0,
    n_genes: int = 7,
    n_perturbations: int = 4,
    n_batches: int = 0,
    **settings: float,
) -> SAMSVAEModule:
    """A float64 module with random weights."""
    config = SAMSVAEConfig.model_validate(
        {"n_latent": 3, "n_hidden": 6, "embedding_n_hidden": 5, "inference": inference, **settings}
    )
    torch.manual_seed(seed)
    module = SAMSVAEModule(config, n_genes, n_perturbations, n_batches).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    module.initialise(
        DataStatistics(
            torch.rand(n_genes),
            torch.rand(n_genes) + 0.5,
            torch.full((n_genes,), 1 / n_genes),
            torch.arange(1.0, n_perturbations + 1),
            torch.tensor(40.0),
            torch.linspace(10, 60, N_QUANTILES),
        )
    )
    return module


def tiny_batch(module: SAMSVAEModule, n: int = 6, seed: int = 0) -> Minibatch:
    """Random cells: controls, singles and doubles."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(3, (n, module.n_genes)) + 1.0
    dosages = np.zeros((n, module.n_perturbations))
    for cell in range(n):
        carried = rng.choice(module.n_perturbations, cell % 3, replace=False)
        dosages[cell, carried] = 1.0
    batch_index = None
    if module.n_batches > 1:
        batch_index = torch.from_numpy(rng.integers(0, module.n_batches, n))
    return Minibatch(
        torch.from_numpy(counts),
        torch.from_numpy(dosages),
        torch.from_numpy(counts.sum(1)),
        batch_index,
    )


def tiny_screen(seed: int = 0, **settings: int) -> Screen:
    """A simulated screen of a few hundred cells."""
    config = SimulationConfig.model_validate(
        {
            "n_perturbations": 6,
            "n_latent": 4,
            "n_genes": 30,
            "cells_per_perturbation": 30,
            "n_control": 60,
            "mask_density": 0.3,
            "depth": 400,
            "n_doubles": 2,
            "seed": seed,
            **settings,
        }
    )
    return Screen.from_anndata(
        simulate_screen(config), perturbation_key="perturbation", control="control"
    )
