"""The training objective: the plated minibatch ELBO with a weighted mask term."""

from __future__ import annotations

import torch
from torch import Tensor

from sams_core.models import Minibatch, PerturbationVAE
from sams_core.training.config import TrainingConfig


def mask_penalty(config: TrainingConfig, step: int) -> float:
    """Per-cell weight of the mask's KL divergence at a step: linear from start to end, then flat.

    Parameters
    ----------
    config
        Holds the start, the end and the share of the steps over which it changes.
    step
        Steps already taken.
    """
    annealing = config.mask_penalty_fraction * config.max_steps
    progress = min(step / annealing, 1.0) if annealing > 0 else 1.0
    return config.mask_penalty_start + progress * (
        config.mask_penalty_end - config.mask_penalty_start
    )


def mask_kl_weights(module: PerturbationVAE, penalty: float) -> Tensor:
    """Weight of each perturbation's mask term: ``max(1, penalty * training cells)``, (T,)."""
    return (penalty * module.cells_per_perturbation).clamp_min(1.0)


def minibatch_objective(
    module: PerturbationVAE,
    batch: Minibatch,
    config: TrainingConfig,
    penalty: float,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Loss of a minibatch and the terms it is made of, per cell in nats.

    Returns
    -------
    dict of scalar tensors
        ``loss`` (to minimise), and ``elbo``, ``log_likelihood``, ``kl_z_basal``, ``kl_mask`` and
        ``kl_embedding``, in which the mask's term has weight 1.
    """
    terms = module.elbo_terms(
        batch, config.n_particles, exact=config.objective == "exact", generator=generator
    )
    share = module.plate_weights(batch.dosages).mean(0)  # (T,)
    log_likelihood, z_basal = terms.log_likelihood.mean(), terms.z_basal.mean()
    mask, embedding = terms.mask.mean(0), terms.embedding.mean(0)  # (T,)
    elbo = log_likelihood + z_basal + (mask + embedding) @ share
    extra = (mask * (mask_kl_weights(module, penalty) - 1)) @ share
    return {
        "loss": -(elbo + extra),
        "elbo": elbo.detach(),
        "log_likelihood": log_likelihood.detach(),
        "kl_z_basal": -z_basal.detach(),
        "kl_mask": -(mask @ share).detach(),
        "kl_embedding": -(embedding @ share).detach(),
    }
