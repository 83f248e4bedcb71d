"""Small models and screens for tests that need real ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sams_core.data import Screen, SimulationConfig, simulate_screen
from sams_core.models import (
    ConditionalVAEConfig,
    ConditionalVAEModule,
    CPAVAEConfig,
    CPAVAEModule,
    DataStatistics,
    Inference,
    Minibatch,
    PerturbationVAE,
    SAMSVAEConfig,
    SAMSVAEModule,
    SVAEPlusConfig,
    SVAEPlusModule,
)
from sams_core.models.base import N_QUANTILES

ALL_INFERENCE: tuple[Inference, ...] = ("correlated", "correlated_z", "correlated_e", "mean_field")

_FAMILIES: dict[str, tuple[Any, Any]] = {
    "sams_vae": (SAMSVAEConfig, SAMSVAEModule),
    "cpa_vae": (CPAVAEConfig, CPAVAEModule),
    "svae_plus": (SVAEPlusConfig, SVAEPlusModule),
    "conditional_vae": (ConditionalVAEConfig, ConditionalVAEModule),
}
_LEARNED = "learned"
VARIANTS: tuple[str, ...] = (
    *(f"sams_vae {inference}" for inference in ALL_INFERENCE),
    *(f"sams_vae {inference} {_LEARNED}" for inference in ALL_INFERENCE),
    "cpa_vae correlated_z",
    "cpa_vae mean_field",
    "svae_plus",
    "conditional_vae",
)
"""Every family with each of its guides and mask priors, as :func:`tiny_variant` names them."""


def family_of(variant: str) -> tuple[str, dict[str, Any]]:
    """Family of one of ``VARIANTS``, and the hyperparameters that make it."""
    family, *rest = variant.split()
    made: dict[str, Any] = {"inference": rest[0]} if rest else {}
    if rest[1:] == [_LEARNED]:
        made["learned_mask_prior"] = True
    return family, made


def variant_module(
    variant: str, n_genes: int, n_perturbations: int, n_batches: int = 0, **settings: Any
) -> PerturbationVAE:
    """A module of one of ``VARIANTS``, as it starts."""
    family, chosen = family_of(variant)
    config, module = _FAMILIES[family]
    made: PerturbationVAE = module(
        config.model_validate(chosen | settings), n_genes, n_perturbations, n_batches
    )
    return made


def tiny_variant(
    variant: str,
    *,
    seed: int = 0,
    n_genes: int = 7,
    n_perturbations: int = 4,
    n_batches: int = 0,
    **settings: Any,
) -> PerturbationVAE:
    """A float64 module with random weights, of one of ``VARIANTS``."""
    settings = {"n_latent": 3, "n_hidden": 6, **settings}
    if variant.startswith("sams_vae"):
        settings = {"embedding_n_hidden": 5, **settings}
    torch.manual_seed(seed)
    module = variant_module(variant, n_genes, n_perturbations, n_batches, **settings).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    module.initialise(
        DataStatistics(
            torch.rand(n_genes),
            torch.rand(n_genes) + 0.5,
            torch.randn(n_genes).softmax(0),
            torch.arange(1.0, n_perturbations + 1),
            torch.tensor(40.0),
            torch.linspace(10, 60, N_QUANTILES),
        )
    )
    return module


def tiny_module(inference: Inference = "correlated", **options: Any) -> SAMSVAEModule:
    """A float64 SAMS-VAE with random weights; options as :func:`tiny_variant`."""
    module = tiny_variant(f"sams_vae {inference}", **options)
    assert isinstance(module, SAMSVAEModule)
    return module


def tiny_batch(module: PerturbationVAE, n: int = 6, seed: int = 0) -> Minibatch:
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


def rows_of(batch: Minibatch, rows: Tensor) -> Minibatch:
    """Some cells of a batch, in the order of ``rows``."""
    index = batch.batch_index
    return Minibatch(
        batch.counts[rows],
        batch.dosages[rows],
        batch.library_size[rows],
        None if index is None else index[rows],
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
