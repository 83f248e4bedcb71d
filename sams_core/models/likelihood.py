"""Decoder head, softmax and gamma-Poisson likelihood as one operation with its own gradient.

With logits a, library size S, ``mu = S softmax(a)``, concentration theta and ``r = 1 + mu/theta``::

    log p(x) = c(x, theta) + sum_g x log(mu / theta) - (x + theta) log r
    c(x, theta) = sum_g lgamma(x + theta) - lgamma(theta) - lgamma(x + 1)
    s = d log p / d log mu = (x - mu) / r
    d log p / d a = s - softmax(a) sum(s)
    d log p / d log theta = theta (digamma(x + theta) - digamma(theta) - log r) - s

``c`` depends on neither particle nor cell state and is computed once a cell. Cells are worked on in
blocks that stay in a core's cache; what is kept for the gradient is two numbers a particle, cell
and gene. Held in the tests against the plain path, :func:`gamma_poisson_log_prob` of a log-softmax.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_EXACT_INTEGERS = 1 << 24
"""Up to here float32 holds every integer."""

_BLOCK_ELEMENTS = 1 << 20
"""Entries of a block: 4 MB in float32, of which a handful live at once."""


def decoded_log_likelihood(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    log_concentration: Tensor,
    counts: Tensor,
    library_size: Tensor,
    mean_floor: float = 0.0,
) -> Tensor:
    """Log-probability of each cell's counts given the decoder's last hidden layer.

    Parameters
    ----------
    hidden : (P, n, H) tensor
        Hidden layer.
    weight, bias : (G, H) and (G,) tensors
        Of the layer that makes logits of it.
    log_concentration : (G,) tensor
        Log of each gene's concentration.
    counts : (n, G) tensor
        Non-negative integers.
    library_size : (n,) tensor
        Positive.
    mean_floor
        Added to every expected count.

    Returns
    -------
    (P, n) tensor, in nats; differentiable once in the first four.
    """
    values: Tensor = _DecodedLogLikelihood.apply(
        hidden, weight, bias, log_concentration, counts, library_size, mean_floor
    )
    return values


class _DecodedLogLikelihood(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        log_concentration: Tensor,
        counts: Tensor,
        library_size: Tensor,
        mean_floor: float,
    ) -> Tensor:
        P, n, _ = hidden.shape
        G = len(bias)
        theta = log_concentration.exp()
        weighted, shifted_bias = counts + theta, bias - log_concentration
        by_cell, growth = counting_terms(counts, theta, slope=ctx.needs_input_grad[3])
        log_likelihood = by_cell.repeat(P, 1)
        keep = any(ctx.needs_input_grad[:4])
        if keep:
            by_logit, by_concentration = hidden.new_empty(2, P, n, G)
        rows = block_rows(hidden, G)
        mean_, ratio_, log_ratio_, logits_ = hidden.new_empty(4, min(rows, P * n), G)
        for block in blocks(P, n, rows):
            x, size = counts[block[1]], library_size[block[1], None]
            h = hidden[block]  # (p, m, H)
            shape = (*h.shape[:2], G)
            m = shape[0] * shape[1]
            logits = by_logit[block] if keep else logits_[:m].view(shape)
            torch.addmm(shifted_bias, h.flatten(0, 1), weight.T, out=logits.view(m, G))
            largest = logits.amax(-1, keepdim=True)
            ratio = torch.sub(logits, largest, out=ratio_[:m].view(shape)).exp_()
            scale = size / (ratio @ theta)[..., None]
            logits.add_(scale.log() - largest)  # log(mu / theta)
            ratio.mul_(scale)  # mu / theta
            mean = torch.mul(ratio, theta, out=mean_[:m].view(shape))
            if mean_floor > 0:
                share = mean / (mean + mean_floor)
                mean.add_(mean_floor)
                torch.log(torch.div(mean, theta, out=ratio), out=logits)
            log_ratio = torch.log1p(ratio, out=log_ratio_[:m].view(shape))
            explained = logits.mul_(x).addcmul_(weighted[block[1]], log_ratio, value=-1)
            log_likelihood[block] += explained.sum(-1)
            if not keep:
                continue
            slope = torch.sub(x, mean, out=logits).div_(ratio.add_(1))  # d / d log mu
            torch.addcmul(slope, log_ratio, theta, out=by_concentration[block])
            if mean_floor > 0:
                slope.mul_(share)
                mean.sub_(mean_floor)
            slope.addcmul_(mean, slope.sum(-1, keepdim=True) / size, value=-1)
        if keep:
            ctx.save_for_backward(hidden, weight, theta, growth, by_logit, by_concentration)
        return log_likelihood

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, theta, growth, by_logit, by_concentration = ctx.saved_tensors
        rows = gradient.reshape(-1, 1)  # (P * n, 1)
        by_logit, by_concentration = by_logit.flatten(0, 1), by_concentration.flatten(0, 1)
        to_hidden = to_weight = to_bias = to_concentration = None
        if ctx.needs_input_grad[0]:
            to_hidden = (by_logit @ weight).mul_(rows).view_as(hidden)
        if ctx.needs_input_grad[1]:
            to_weight = by_logit.T @ (hidden.flatten(0, 1) * rows)
        if ctx.needs_input_grad[2]:
            to_bias = by_logit.T @ rows[:, 0]
        if ctx.needs_input_grad[3]:
            to_concentration = theta * (growth.T @ gradient.sum(0))
            to_concentration -= by_concentration.T @ rows[:, 0]
        return to_hidden, to_weight, to_bias, to_concentration, None, None, None


def counting_terms(
    counts: Tensor, concentration: Tensor, *, slope: bool
) -> tuple[Tensor, Tensor | None]:
    """What depends on counts and concentration alone.

    Parameters
    ----------
    counts : (n, G) tensor
        Non-negative integers.
    concentration : (G,) tensor
        Theta.
    slope
        Whether the second is wanted.

    Returns
    -------
    ``sum_g lgamma(x + theta) - lgamma(theta) - lgamma(x + 1)``, (n,), and
    ``digamma(x + theta) - digamma(theta)``, (n, G). For integers these are sums over ``j < x`` of
    ``log((theta + j) / (j + 1))`` and of ``1 / (theta + j)``: on a CPU they are looked up in tables
    where that is less work.
    """
    n, G = counts.shape
    if counts.device.type == "cpu" and n > 1:
        largest = int(counts.max())
        if largest < n / 2 and largest * G < _EXACT_INTEGERS:
            return _tabulated_terms(counts, concentration, largest, slope)
    shifted = counts + concentration
    value = torch.lgamma(shifted).sub_(torch.lgamma(concentration)).sub_(torch.lgamma(counts + 1))
    growth = digamma(shifted).sub_(digamma(concentration)) if slope else None
    return value.sum(-1), growth


def _tabulated_terms(
    counts: Tensor, concentration: Tensor, largest: int, slope: bool
) -> tuple[Tensor, Tensor | None]:
    G = len(concentration)
    below = torch.arange(largest, dtype=counts.dtype)[:, None]  # j
    places = torch.arange(G, dtype=counts.dtype)
    index = torch.add(places, counts, alpha=G).int().flatten()  # (n * G,)

    def look_up(terms: Tensor) -> Tensor:
        table = torch.cat([terms.new_zeros(1, G), terms.cumsum_(0)])
        return table.flatten().index_select(0, index).view_as(counts)

    steps = below + concentration
    value = look_up(torch.log(steps / (below + 1))).sum(-1)
    return value, look_up(steps.reciprocal_()) if slope else None


def digamma(x: Tensor) -> Tensor:
    """Derivative of lgamma at x > 0.

    In float32 by the asymptotic series at ``x + 4`` and the recurrence back, which is vectorised
    where torch's is not; exact to float32's rounding.
    """
    if x.dtype != torch.float32:
        return torch.digamma(x)
    product = (x + 3).mul_(x)  # x (x + 3); times two more is the product of all four
    steps = (product + 1).mul_(2).mul_(2 * x + 3).div_(product.mul_(product + 2))
    shifted = x + 4
    inverse = shifted.reciprocal()
    square = inverse * inverse
    series = square.mul(-1 / 252).add_(1 / 120).mul_(square).sub_(1 / 12).mul_(square)
    return shifted.log_().add_(series).sub_(inverse.mul_(0.5)).sub_(steps)


def blocks(n_particles: int, n_cells: int, rows: int) -> Iterator[tuple[slice, slice]]:
    """Slices of particles and of cells that cover all: whole particles, or a part of one."""
    particles, cells = max(1, rows // n_cells), min(rows, n_cells)
    for first in range(0, n_particles, particles):
        for start in range(0, n_cells, cells):
            yield slice(first, first + particles), slice(start, start + cells)


def block_rows(like: Tensor, n_genes: int) -> int:
    """Cells of a block: as the CPU's cache asks for; on other devices as many as come."""
    if like.device.type != "cpu":
        return 1 << 30
    return max(16, _BLOCK_ELEMENTS // n_genes)
