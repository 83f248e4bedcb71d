"""The objective on held-out cells, for choosing which weights to keep."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sams_core.models import Minibatch, PerturbationVAE
from sams_core.models.draws import rows_of
from sams_core.training.config import TrainingConfig
from sams_core.training.schedule import mask_weights
from sams_core.training.state import step_generator

VALIDATION_SEED = 104_729


@torch.no_grad()
def validation_terms(
    module: PerturbationVAE, batches: Sequence[Minibatch], config: TrainingConfig
) -> dict[str, float]:
    """Mean terms of the ELBO over held-out cells, per cell in nats.

    The plated terms of E and M are spread over the *training* cells, as in training, so that a
    small validation split does not over-weigh them; the draws are the same at every call, so that
    differences between calls are differences between weights.

    Parameters
    ----------
    module
        The model.
    batches
        The held-out cells.
    config
        Settings of the objective.

    Returns
    -------
    dict
        ``objective`` (as in the last step of training; larger is better), ``elbo`` (weight 1),
        ``log_likelihood``, ``kl_z_basal``, ``kl_mask``, ``kl_embedding``.
    """
    device = module.cells_per_perturbation.device
    log_likelihood = z_basal = 0.0
    plated = torch.zeros(2, module.n_perturbations, device=device)
    n_cells = sum(len(batch) for batch in batches)
    n_training = max(float(module.n_training_cells), 1.0)
    for index, batch in enumerate(batches):
        generator = step_generator(VALIDATION_SEED, index, device)
        terms = module.elbo_terms(
            batch.to(device), config.n_particles, exact=config.objective == "exact",
            generator=generator,
        )  # fmt: skip
        log_likelihood += float(terms.log_likelihood.mean(0).sum())
        z_basal += float(terms.z_basal.mean(0).sum())
        plated += torch.stack([terms.mask.mean(0), terms.embedding.mean(0)]) * (
            len(batch) / n_cells
        )
    assert terms.sample is not None
    cells = rows_of(module.cells_per_perturbation, terms.sample.perturbations)
    plated = plated * (cells > 0) / n_training
    mask, embedding = float(plated[0].sum()), float(plated[1].sum())
    elbo = (log_likelihood + z_basal) / n_cells + mask + embedding
    weights = mask_weights(module, config, config.max_steps - 1, terms)
    extra = float((plated[0] * (weights - 1)).sum())
    return {
        "objective": elbo + extra,
        "elbo": elbo,
        "log_likelihood": log_likelihood / n_cells,
        "kl_z_basal": -z_basal / n_cells,
        "kl_mask": -mask,
        "kl_embedding": -embedding,
    }
