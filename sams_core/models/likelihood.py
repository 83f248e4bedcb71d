"""Decoder head, softmax and gamma-Poisson likelihood as one operation with its own gradient.

With logits a, library size S, ``mu = S softmax(a)``, concentration theta and ``r = 1 + mu/theta``::

    log p(x) = c(x, theta) + sum_g x log(mu / theta) - (x + theta) log r
    c(x, theta) = sum_g lgamma(x + theta) - lgamma(theta) - lgamma(x + 1)
    s = d log p / d log mu = (x - mu) / r
    d log p / d a = s - softmax(a) sum(s)
    d log p / d log theta = theta (digamma(x + theta) - digamma(theta) - log r) - s

``c`` depends on neither particle nor cell state and is computed once a cell. On a CPU, cells are
worked on in blocks that stay in its cache, and the products with each block's gradient are taken at
once, so that no array over particles, cells and genes is ever made. Held in the tests against the
plain path.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812

from sams_core.models.distributions import gamma_poisson_log_prob

_EXACT_INTEGERS = 1 << 24
"""Up to here float32 holds every integer."""

_TABULATED = 64
"""Counts up to here are looked up."""

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
    constant: Tensor | None = None,
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
    constant : (n,) tensor, optional
        The first of :func:`counting_terms`, where it is at hand; not looked at where gradients
        are wanted.

    Returns
    -------
    (P, n) tensor, in nats; differentiable once in the first four.
    """
    given = (hidden, weight, bias, log_concentration, counts, library_size, mean_floor)
    differentiable = any(value.requires_grad for value in given[:4])
    keep = differentiable and torch.is_grad_enabled()  # the latter is always off inside
    if keep:
        constant = None
    if hidden.device.type != "cpu":
        return plain_log_likelihood(*given, constant)
    values: Tensor = _DecodedLogLikelihood.apply(*given, constant, keep)
    return values


def plain_log_likelihood(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    log_concentration: Tensor,
    counts: Tensor,
    library_size: Tensor,
    mean_floor: float = 0.0,
    constant: Tensor | None = None,
) -> Tensor:
    """:func:`decoded_log_likelihood` operation by operation, with arrays over (P, n, G)."""
    log_mean = F.linear(hidden, weight, bias).log_softmax(-1) + library_size.log()[:, None]
    if mean_floor > 0:
        log_mean = torch.log(log_mean.exp() + mean_floor)
    return gamma_poisson_log_prob(counts, log_mean, log_concentration, constant)


class _DecodedLogLikelihood(torch.autograd.Function):
    """Gradients are those of the sum over particles and cells, as of a mean but for a factor.

    Where cells weigh differently in the loss, the plain path is differentiated in their place.
    """

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
        constant: Tensor | None,
        keep: bool,
    ) -> Tensor:
        P, n, _ = hidden.shape
        G = len(bias)
        theta = log_concentration.exp()
        growth = None
        if constant is None:
            constant, growth = counting_terms(counts, theta, slope=keep)  # (n,), (n, G)
        log_likelihood = constant.repeat(P, 1)
        if keep:
            to_hidden = torch.empty_like(hidden)
            to_weight, to_bias = torch.zeros_like(weight), torch.zeros_like(bias)
            to_concentration = theta * growth.sum(0) * P  # type: ignore[union-attr]
        rows = max(1, _BLOCK_ELEMENTS // G)
        mean_, ratio_, log_ratio_, logits_ = hidden.new_empty(4, min(rows, P * n), G)
        weighted, shifted_bias = counts + theta, bias - log_concentration
        for block in blocks(P, n, rows):
            x, size = counts[block[1]], library_size[block[1], None]
            shape = (*hidden[block].shape[:2], G)
            h = hidden[block].flatten(0, 1)  # (p * m, H)
            flat_logits = torch.addmm(shifted_bias, h, weight.T, out=logits_[: len(h)])
            logits = flat_logits.view(shape)
            largest = logits.amax(-1, keepdim=True)
            ratio = torch.sub(logits, largest, out=ratio_[: len(h)].view(shape)).exp_()
            scale = size / (ratio @ theta)[..., None]
            logits.add_(scale.log() - largest)  # log(mu / theta)
            ratio.mul_(scale)  # mu / theta
            if keep or mean_floor > 0:
                mean = torch.mul(ratio, theta, out=mean_[: len(h)].view(shape))
            if mean_floor > 0:
                share = mean / (mean + mean_floor)
                mean.add_(mean_floor)
                torch.log(torch.div(mean, theta, out=ratio), out=logits)
            log_ratio = torch.log1p(ratio, out=log_ratio_[: len(h)].view(shape))
            explained = logits.mul_(x).addcmul_(weighted[block[1]], log_ratio, value=-1)
            log_likelihood[block] += explained.sum(-1)
            if not keep:
                continue
            slope = torch.sub(x, mean, out=logits).div_(ratio.add_(1))  # d / d log mu
            to_concentration -= theta * log_ratio.sum((0, 1)) + slope.sum((0, 1))
            if mean_floor > 0:
                slope.mul_(share)
                mean.sub_(mean_floor)
            slope.addcmul_(mean, slope.sum(-1, keepdim=True) / size, value=-1)
            torch.mm(flat_logits, weight, out=to_hidden[block].view(h.shape))
            to_weight.addmm_(flat_logits.T, h)
            to_bias += flat_logits.sum(0)
        if keep:
            ctx.save_for_backward(hidden, weight, bias, log_concentration, counts, library_size)
            ctx.mean_floor = mean_floor
            ctx.gradients = (to_hidden, to_weight, to_bias, to_concentration)
        return log_likelihood

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        wanted = ctx.needs_input_grad[:4]
        lowest, highest = gradient.aminmax()
        if lowest == highest:
            parts = [part * highest for part in ctx.gradients]
        else:
            given = [value.detach().requires_grad_() for value in ctx.saved_tensors[:4]]
            counts, library_size = ctx.saved_tensors[4:]
            hidden, weight, bias, log_concentration = given
            with torch.enable_grad():
                plain = plain_log_likelihood(
                    hidden, weight, bias, log_concentration, counts, library_size, ctx.mean_floor
                )
            parts = list(torch.autograd.grad(plain, given, gradient))
        others = [None] * (len(ctx.needs_input_grad) - len(parts))
        return (
            *(part if want else None for part, want in zip(parts, wanted, strict=True)),
            *others,
        )


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
    ``log((theta + j) / (j + 1))`` and of ``1 / (theta + j)``, looked up in tables where that is
    less work; what large counts add beyond the tables is computed for them alone.
    """
    n, G = counts.shape
    height = min(int(counts.max()), _TABULATED)
    if height < n / 2 and (height + 1) * G <= _EXACT_INTEGERS:
        return _tabulated_terms(counts, concentration, height, slope)
    value, growth = _between(torch.zeros_like(counts), counts, concentration, slope)
    return value.sum(-1), growth


def _tabulated_terms(
    counts: Tensor, concentration: Tensor, height: int, slope: bool
) -> tuple[Tensor, Tensor | None]:
    G = len(concentration)
    numbers = torch.arange(max(height, G), dtype=counts.dtype, device=counts.device)
    below, places = numbers[:height, None], numbers[:G]  # j, and a gene's column
    index = torch.add(places, counts.clamp_max(height), alpha=G).int().flatten()  # (n * G,)

    def look_up(terms: Tensor) -> Tensor:
        table = torch.cat([terms.new_zeros(1, G), terms.cumsum_(0)])
        return table.flatten().index_select(0, index).view_as(counts)

    steps = below + concentration
    value = look_up(torch.log(steps / (below + 1)))
    growth = look_up(steps.reciprocal_()) if slope else None
    large = (counts > height).nonzero(as_tuple=True)
    if len(large[0]):
        start = counts.new_full((len(large[0]),), height)
        more, steeper = _between(start, counts[large], concentration[large[1]], slope)
        value[large] += more
        if growth is not None and steeper is not None:
            growth[large] += steeper
    return value.sum(-1), growth


def _between(
    start: Tensor, counts: Tensor, concentration: Tensor, slope: bool
) -> tuple[Tensor, Tensor | None]:
    """The same sums over ``start <= j < x``, of each entry."""
    low, high = start + concentration, counts + concentration
    value = torch.lgamma(high).sub_(torch.lgamma(low))
    value.sub_(torch.lgamma(counts + 1)).add_(torch.lgamma(start + 1))
    return value, torch.digamma(high).sub_(torch.digamma(low)) if slope else None


def blocks(n_particles: int, n_cells: int, rows: int) -> Iterator[tuple[slice, slice]]:
    """Slices of particles and of cells that cover all: whole particles, or a part of one."""
    particles, cells = max(1, rows // n_cells), min(rows, n_cells)
    for first in range(0, n_particles, particles):
        for start in range(0, n_cells, cells):
            yield slice(first, first + particles), slice(start, start + cells)
