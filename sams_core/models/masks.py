"""Bernoulli masks over latent dimensions, with a fixed or a learned prior probability."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sams_core.models import distributions as dist


def initial_mask_logits(n_perturbations: int, n_latent: int, probability: float) -> nn.Parameter:
    """Log-odds of a mask (T, L) whose entries are all open with one probability."""
    logit = math.log(probability) - math.log1p(-probability)
    return nn.Parameter(torch.full((n_perturbations, n_latent), logit))


def sample_mask(
    logits: Tensor,
    temperature: float,
    n_particles: int,
    generator: torch.Generator | None,
) -> Tensor:
    """Draws of a mask, 0 or 1, that carry the relaxed mask's gradient: (T, L) to (P, T, L)."""
    shape = torch.Size((n_particles, *logits.shape))
    soft = dist.relaxed_bernoulli_sample(logits, temperature, shape, generator)
    return dist.straight_through_round(soft)


def fixed_prior_term(mask: Tensor, logits: Tensor, prior: float, *, exact: bool) -> Tensor:
    """``log p(M) - log q(M)`` under ``Bernoulli(prior)``: (P, T), or (1, T) in expectation."""
    if exact:
        return -dist.bernoulli_kl(logits, prior).sum(-1)[None]
    ratio = dist.bernoulli_log_prob(mask, prior) - dist.bernoulli_log_prob(
        mask, torch.sigmoid(logits)
    )
    return ratio.sum(-1)


def learned_prior_term(logits: Tensor, a: float, b: float) -> Tensor:
    """``log Beta(p; a, b)`` of the inclusion probabilities, summed over latents: (1, T).

    Each entry's prior probability is a variable of its own, estimated by a point, and the guide of
    M takes the same probability; so the terms of M itself cancel, and this prior's remains.
    """
    eps = torch.finfo(torch.float32).eps
    return dist.beta_log_prob(torch.sigmoid(logits).clamp(eps, 1 - eps), a, b).sum(-1)[None]
