"""The phases of training a sparse mask: effects first, then the basis, then the mask.

Trained all at once, a model fits the effects in whatever basis of the latent space it reaches
first, in which nothing is sparse, and closing entries one by one never leads to another basis. So:

1. *Effects.* For ``effects_fraction`` of the steps every entry is open, and the network for E given
   M stands still: the model learns what each perturbation does, in some basis.
2. *Basis.* The latent space is turned to where those effects are sparsest
   (:mod:`sams_core.models.rotation`), which leaves the likelihood as it is; the guide's scales, a
   diagonal in any basis, are averaged.
3. *Masks.* Entries are learned, from a probability of :data:`OPEN_AT_FIRST`, under a mask term
   whose weight rises (:func:`mask_weights`).
4. *Pruned.* For the last ``pruned_fraction`` of the steps closed entries stay closed, and the
   objective is the ELBO itself, so that reported figures are the plain ones.
"""

from __future__ import annotations

import math
from enum import Enum

import torch
from torch import Tensor

from sams_core.models import ElboTerms, PerturbationVAE
from sams_core.models.draws import rows_of
from sams_core.models.rotation import NOISE_WIDTH, sparsest_rotation, turn
from sams_core.models.sams_vae import SAMSVAEModule
from sams_core.training.config import TrainingConfig

OPEN_AT_FIRST = 0.9
"""Inclusion probability of every entry when masks begin to be learned."""
PINNED = 30.0
"""Log-odds of an entry that is held open, or closed if negative, and draws nothing else."""


class Phase(Enum):
    """What a step of training is about."""

    EFFECTS = "effects"
    MASKS = "masks"
    PRUNED = "pruned"


def phase(module: PerturbationVAE, config: TrainingConfig, step: int) -> Phase:
    """Phase of a step; models other than SAMS-VAE have :attr:`Phase.MASKS` alone."""
    if not isinstance(module, SAMSVAEModule):
        return Phase.MASKS
    if step < turning_step(config):
        return Phase.EFFECTS
    return Phase.PRUNED if step >= pruning_step(config) else Phase.MASKS


def turning_step(config: TrainingConfig) -> int:
    """Steps after which the basis is found and masks begin to be learned."""
    return round(config.effects_fraction * config.max_steps)


def pruning_step(config: TrainingConfig) -> int:
    """Steps after which closed entries stay closed; the number of all steps if they never do."""
    return config.max_steps - round(config.pruned_fraction * config.max_steps)


def settled_step(module: PerturbationVAE, config: TrainingConfig) -> int:
    """Steps after which the objective does not change any more, so that weights are comparable."""
    if not module.has_mask:
        return 0
    if isinstance(module, SAMSVAEModule) and config.pruned_fraction > 0:
        return pruning_step(config)
    return max(turning_step(config), round(config.mask_penalty_fraction * config.max_steps))


def mask_weights(
    module: PerturbationVAE,
    config: TrainingConfig,
    step: int,
    terms: ElboTerms | None = None,
) -> Tensor:
    """Weight of each perturbation's mask term: (T,), or (K,) of those that were drawn.

    The ELBO counts a mask once, beside the likelihood of every cell: with hundreds of cells an
    entry stays open that explains next to nothing. Here an open entry must carry a share
    ``k = mask_share`` of all that its perturbation's shift explains, ``g_t`` nats a cell, so that
    opening it costs ``k g_t`` a cell::

        w_t = max(1, N_t (k g_t / log((1 - alpha) / alpha) + mask_penalty))
        g_t = sum_l s_tl^2 (1 - v_l) / 2

    with ``N_t`` training cells, ``alpha`` the prior probability, ``s_t`` the shift and ``v_l`` the
    mean posterior variance of z_basal. For a Gaussian likelihood g_t is exact: a cell whose shift
    is left out explains it by its basal state and pays ``s^2 (1 - v) / 2``, the less, the less its
    counts say of that latent. The share has no scale: weak perturbations are judged by their own
    size, and one without an effect by the plain ELBO. It rises linearly from where the basis is
    found to ``mask_penalty_fraction`` of the steps. While effects are learned weights are 0; once
    entries are pruned, 1.

    Parameters
    ----------
    module
        The model.
    config
        Settings.
    step
        Steps already taken.
    terms
        The minibatch's terms with their draws; without them ``mask_share`` counts as 0.
    """
    sample = None if terms is None else terms.sample
    drawn = None if sample is None else sample.perturbations
    cells = rows_of(module.cells_per_perturbation, drawn)
    current = phase(module, config, step)
    if current is not Phase.MASKS:
        return torch.full_like(cells, float(current is Phase.PRUNED))
    start = turning_step(config) if isinstance(module, SAMSVAEModule) else 0
    rise = config.mask_penalty_fraction * config.max_steps - start
    progress = min((step - start) / rise, 1.0) if rise > 0 else 1.0
    first, last = config.mask_penalty_start, config.mask_penalty_end
    weights = (first + progress * (last - first)) * cells
    if isinstance(module, SAMSVAEModule) and module.prior_log_odds_against > 0:
        share = progress * config.mask_share / module.prior_log_odds_against
        weights = weights + share * cells * explained(terms, cells)
    return weights.clamp_min(1.0)


def explained(terms: ElboTerms | None, cells: Tensor) -> Tensor:
    """What each perturbation's shift explains, in nats a cell: (T,); 0 where nothing was drawn."""
    if terms is None or terms.sample is None or terms.basal_variance is None:
        return torch.zeros_like(cells)
    known = (1 - terms.basal_variance).clamp_min(0)  # (L,)
    return (terms.sample.effect.detach().square() @ known).mean(0) / 2


@torch.no_grad()
def begin_phase(
    module: PerturbationVAE, config: TrainingConfig, step: int, optimiser: torch.optim.Optimizer
) -> None:
    """Do what is due before a step: open all entries, find the basis, or prune.

    The basis is that of perturbations with training cells; masks of others go to the prior.

    A function of the step and of what a checkpoint holds, so that a resumed run does the same.
    """
    if not isinstance(module, SAMSVAEModule):
        return
    logits = module.mask_logits
    assert logits is not None
    if step < turning_step(config):
        logits.fill_(PINNED)
    elif step == turning_step(config) > 0:
        trained = module.cells_per_perturbation > 0
        posterior = module.embedding_posterior(torch.ones_like(logits)[None])
        mean, scale = (values[0][trained] for values in posterior)
        width = NOISE_WIDTH * float(scale.median())
        rotation = _of_first_process(sparsest_rotation(mean, width), logits.device)
        turn(module.latent_axes(), rotation, optimiser.state)
        logits.fill_(math.log(OPEN_AT_FIRST) - math.log1p(-OPEN_AT_FIRST))
        logits[~trained] = -module.prior_log_odds_against
    if step == pruning_step(config):
        logits[logits < 0] = -PINNED


def _of_first_process(rotation: Tensor, device: torch.device) -> Tensor:
    """One rotation for all devices: rounding may have led another process to another minimum."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        rotation = rotation.to(device)
        torch.distributed.broadcast(rotation, src=0)
    return rotation


@torch.no_grad()
def bound_mask(module: PerturbationVAE, config: TrainingConfig, step: int) -> None:
    """Keep the mask's log-odds where they have a gradient after a step, and pinned ones pinned.

    Parameters
    ----------
    module
        The model.
    config
        Settings.
    step
        Steps taken before the one that has just been taken.
    """
    logits = module.mask_logits
    if logits is None:
        return
    current, bound = phase(module, config, step), config.max_mask_logit
    if current is Phase.EFFECTS:
        logits.fill_(PINNED)
        return
    pruned = logits < -PINNED / 2 if current is Phase.PRUNED else None
    logits.clamp_(-bound, bound)
    if pruned is not None:
        logits[pruned] = -PINNED
