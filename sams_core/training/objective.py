"""The training objective: the plated minibatch ELBO with a weighted mask term."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sams_core.models import Minibatch, PerturbationVAE
from sams_core.training.config import TrainingConfig
from sams_core.training.processes import cell_weight, mean_over_cells
from sams_core.training.schedule import mask_weights


def minibatch_objective(
    module: PerturbationVAE,
    batch: Minibatch,
    config: TrainingConfig,
    step: int,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Loss of a minibatch and the terms it is made of, per cell in nats.

    Of processes that share the minibatch each gets a figure of its own, weighted by its cells
    (:func:`sams_core.training.processes.cell_weight`): their mean is the figure of all cells.

    Parameters
    ----------
    module
        The model.
    batch
        n training cells.
    config
        Settings.
    step
        Steps already taken.

    Returns
    -------
    dict of scalar tensors
        ``loss`` (to minimise), and ``elbo``, ``log_likelihood``, ``kl_z_basal``, ``kl_mask`` and
        ``kl_embedding``, in which the mask's term has weight 1; ``mask_weight``, the mean over
        perturbations of the weight that it has in the loss.
    """
    terms = module.elbo_terms(
        batch, config.n_particles, exact=config.objective == "exact", generator=generator
    )
    of_cells = cell_weight(batch)
    share = module.plate_weights(batch.dosages, batch.perturbations).mean(0) * of_cells  # (T,)
    log_likelihood = terms.log_likelihood.mean() * of_cells
    z_basal = terms.z_basal.mean() * of_cells
    mask, embedding = terms.mask.mean(0), terms.embedding.mean(0)  # (T,)
    elbo = log_likelihood + z_basal + (mask + embedding) @ share
    if module.has_mask and terms.basal_variance is not None:
        terms = replace(terms, basal_variance=mean_over_cells(terms.basal_variance, batch))
    weights = mask_weights(module, config, step, terms)
    extra = (mask * (weights - 1)) @ share
    return {
        "loss": -(elbo + extra),
        "elbo": elbo.detach(),
        "log_likelihood": log_likelihood.detach(),
        "kl_z_basal": -z_basal.detach(),
        "kl_mask": -(mask @ share).detach(),
        "kl_embedding": -(embedding @ share).detach(),
        "mask_weight": weights.mean(),
    }
