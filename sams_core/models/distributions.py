"""The distributions of the model, in the form that training needs.

Each is held in the tests against ``torch.distributions`` in float64.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def gamma_poisson_log_prob(
    counts: Tensor, log_mean: Tensor, log_concentration: Tensor, constant: Tensor | None = None
) -> Tensor:
    """Log-probability of counts under a gamma-Poisson (negative binomial), summed over genes.

    With mean mu and concentration theta, and ``t = log mu - log theta``::

        log p(x) = lgamma(x + theta) - lgamma(theta) - lgamma(x + 1) + x t - (x + theta) softplus(t)

    The first three terms depend on neither particle nor cell state and are computed once a cell.

    Parameters
    ----------
    counts : (n, G) tensor
        Non-negative integers.
    log_mean : (..., n, G) tensor
        Log of the expected counts.
    log_concentration : (G,) tensor
        Log of theta; the variance is ``mu + mu^2 / theta``.
    constant : (n,) tensor, optional
        Sum over genes of the first three terms, where it is at hand.

    Returns
    -------
    (..., n) tensor
        Log-probability of each cell, in nats.
    """
    theta = log_concentration.exp()
    if constant is None:
        rising = torch.lgamma(counts + theta) - torch.lgamma(theta)
        constant = (rising - torch.lgamma(counts + 1)).sum(-1)  # (n,)
    t = log_mean - log_concentration
    return constant + (counts * t - (counts + theta) * F.softplus(t)).sum(-1)


def normal_log_prob(x: Tensor, loc: Tensor | float, scale: Tensor | float) -> Tensor:
    """Log-density of a Gaussian, elementwise."""
    scale = torch.as_tensor(scale, dtype=x.dtype, device=x.device)
    return -0.5 * ((x - loc) / scale).square() - scale.log() - HALF_LOG_2PI


def normal_kl(loc: Tensor, scale: Tensor, prior_scale: float = 1.0) -> Tensor:
    """KL divergence of ``N(loc, scale^2)`` from ``N(0, prior_scale^2)``, in nats.

    Summed over the last axis, of independent Gaussians: (..., L) to (...).
    """
    loc, scale = torch.broadcast_tensors(loc, scale)
    divergence: Tensor = _NormalKL.apply(loc, scale, prior_scale)
    return divergence


class _NormalKL(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loc: Tensor, scale: Tensor, prior_scale: float) -> Tensor:
        ctx.save_for_backward(loc, scale)
        ctx.prior_scale = prior_scale
        squares = torch.addcmul(loc * loc, scale, scale).mul_(prior_scale**-2)
        constant = loc.shape[-1] * (math.log(prior_scale) - 0.5)
        return squares.mul_(0.5).sub_(scale.log()).sum(-1).add_(constant)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        loc, scale = ctx.saved_tensors
        rows = gradient[..., None]
        precision = ctx.prior_scale**-2
        to_scale = torch.sub(scale * precision, scale.reciprocal()).mul_(rows)
        return loc * (rows * precision), to_scale, None


def bernoulli_log_prob(x: Tensor, probability: Tensor | float) -> Tensor:
    """Log-probability of a Bernoulli with p clipped to [eps, 1 - eps] of float32, elementwise."""
    eps = torch.finfo(torch.float32).eps
    p = torch.as_tensor(probability, dtype=x.dtype, device=x.device).clamp(eps, 1 - eps)
    return x * p.log() + (1 - x) * torch.log1p(-p)


def beta_log_prob(x: Tensor, a: float, b: float) -> Tensor:
    """Log-density of a Beta distribution at x in (0, 1), elementwise."""
    normaliser = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return (a - 1) * x.log() + (b - 1) * torch.log1p(-x) + normaliser


def bernoulli_kl(logits: Tensor, prior: float) -> Tensor:
    """KL divergence of ``Bernoulli(sigmoid(logits))`` from ``Bernoulli(prior)``, elementwise."""
    log_p, log_not_p = F.logsigmoid(logits), F.logsigmoid(-logits)
    p = log_p.exp()
    return p * (log_p - math.log(prior)) + (1 - p) * (log_not_p - math.log1p(-prior))


def relaxed_bernoulli_sample(
    logits: Tensor, temperature: float, shape: torch.Size, generator: torch.Generator | None = None
) -> Tensor:
    """Draw from the relaxed (binary concrete) Bernoulli, by the logistic's inverse CDF.

    Parameters
    ----------
    logits
        Log-odds, broadcastable to ``shape``.
    temperature
        Relaxation; towards 0 the draws become Bernoulli.

    Returns
    -------
    tensor of ``shape``, in [0, 1]
    """
    eps = torch.finfo(logits.dtype).eps
    u = torch.rand(shape, dtype=logits.dtype, device=logits.device, generator=generator)
    u = u.clamp(eps, 1 - eps)
    return torch.sigmoid((logits + torch.logit(u)) / temperature)


def straight_through_round(soft: Tensor) -> Tensor:
    """Round to 0 or 1; gradients pass as if nothing had been rounded."""
    return (soft > 0.5).to(soft.dtype) + (soft - soft.detach())
