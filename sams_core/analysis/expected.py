"""Expected log-normalised expression given the latent state, without drawing counts.

For gamma-Poisson counts x_j with means mu_j and concentrations theta_j, total S and c = 1e4,
Frullani's integral ``log a = int_0^inf (exp(-t) - exp(-a t)) / t dt`` gives exactly ::

    E[log(c x_g / S + 1)] = E[log(S + c x_g) - log S]
                          = int_0^inf phi_S(t) (1 - phi_g((1 + c) t) / phi_g(t)) / t dt

with the Laplace transforms ``phi_j(t) = (1 + mu_j / theta_j (1 - exp(-t)))^(-theta_j)`` and
``phi_S = prod_j phi_j``. The integrand is smooth in ``log t``, where the trapezoidal rule
converges exponentially. A cell without counts contributes 0 on both sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sams_core.analysis.differential import COUNTS_PER_CELL

_STEP = 0.75  # of log t; halving it changes results by under 1e-5
_SMALLEST = 1e-5  # share of an expected count below which the integrand is dropped
_KNOTS = 48


def expected_log_normalised(log_mean: Tensor, log_concentration: Tensor) -> Tensor:
    """Exact expectation of ``log2(1e4 * x / sum(x) + 1)`` under independent gamma-Poissons.

    Parameters
    ----------
    log_mean : (..., G) tensor
        Log of the expected counts.
    log_concentration : (G,) tensor
        Log of the concentrations.

    Returns
    -------
    (..., G) tensor
        In log2 units, to about 1e-5. Costs some 50 evaluations an entry.
    """
    library = float(log_mean.logsumexp(-1).max().exp())
    total = torch.zeros_like(log_mean)
    for t in _nodes(library):
        log_phi = _log_laplace(log_mean, log_concentration, t)
        log_phi_scaled = _log_laplace(log_mean, log_concentration, (1 + COUNTS_PER_CELL) * t)
        total -= log_phi.sum(-1, keepdim=True).exp() * torch.expm1(log_phi_scaled - log_phi)
    return total * (_STEP / math.log(2.0))


@dataclass(frozen=True)
class ExpressionTable:
    """Expected log-normalised expression as a function of a gene's log proportion, tabulated.

    The total's distribution is taken at a reference profile and the library size is averaged
    out; between knots the table is linear, and it goes on linearly outside.

    Attributes
    ----------
    low, step : (G,) tensors
        First knot and spacing of each gene, in log proportion.
    values : (G, K) tensor
        In log2 units.
    """

    low: Tensor
    step: Tensor
    values: Tensor

    def __call__(self, log_proportions: Tensor) -> Tensor:
        """Look up (..., G) log proportions."""
        position = (log_proportions - self.low) / self.step
        knot = position.floor().clamp_(0, self.values.shape[1] - 2)
        weight = position.sub_(knot)
        row = torch.arange(len(self.values), device=knot.device) * self.values.shape[1]
        index = knot.long().add_(row)
        flat = self.values.reshape(-1)
        left = flat[index]
        return left + weight * (flat[index.add_(1)] - left)


def tabulate(
    low: Tensor,
    high: Tensor,
    log_concentration: Tensor,
    *,
    reference: Tensor,
    library_sizes: Tensor,
    mean_floor: float = 0.0,
) -> ExpressionTable:
    """Tabulate expected log-normalised expression between two log proportions of each gene.

    Parameters
    ----------
    low, high : (G,) tensors
        Range of each gene's log proportion.
    log_concentration : (G,) tensor
        Log of the concentrations.
    reference : (G,) tensor
        Proportions of an average cell, which give the total's distribution.
    library_sizes : (K,) tensor
        Library sizes to average over, equally weighted.
    mean_floor
        Counts added to every expected count.
    """
    step = ((high - low) / (_KNOTS - 1)).clamp_min(1e-3)
    knots = low[:, None] + step[:, None] * torch.arange(
        _KNOTS, dtype=low.dtype, device=low.device
    )  # (G, K)
    values = torch.zeros_like(knots)
    for library in library_sizes.tolist():
        log_mean = torch.log(knots.exp() * library + mean_floor)
        log_reference = torch.log(reference * library + mean_floor)
        for t in _nodes(library):
            log_phi_total = float(_log_laplace(log_reference, log_concentration, t).sum())
            if log_phi_total < -25:
                break
            log_phi = _log_laplace(log_mean, log_concentration[:, None], t)
            scaled = _log_laplace(log_mean, log_concentration[:, None], (1 + COUNTS_PER_CELL) * t)
            values -= math.exp(log_phi_total) * torch.expm1(scaled - log_phi)
    return ExpressionTable(low, step, values * (_STEP / (math.log(2.0) * len(library_sizes))))


def _nodes(library: float) -> list[float]:
    start = math.log(_SMALLEST / (COUNTS_PER_CELL * max(library, 1.0)))
    count = math.ceil((math.log(60.0) - start) / _STEP) + 1
    return [math.exp(start + _STEP * k) for k in range(count)]


def _log_laplace(log_mean: Tensor, log_concentration: Tensor, t: float) -> Tensor:
    ratio = (log_mean - log_concentration).exp_()
    return -log_concentration.exp() * torch.log1p(ratio.mul_(-math.expm1(-t)))
